//! One dump of a running engine.
