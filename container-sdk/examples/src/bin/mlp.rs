//! `mlp.cpp`, which has the `main`, linked to the SDK.

#![no_main]

use cutter_c as _;
