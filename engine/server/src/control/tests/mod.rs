//! The control thread with real processes and sockets; the engine thread is played by the test.

mod admin;
mod arms;
mod by_hand;
mod containers;
mod ending;
mod replicas;
mod world;
