//! The variables of the environment by which a container and the engine find each other.

/// Holds the number of the inherited socket, in a container that the engine spawned.
pub const ENV_FD: &str = "CUTTER_FD";
/// Holds the path of the engine's container socket, for a container started by hand.
pub const ENV_SOCKET: &str = "CUTTER_SOCKET";
/// Holds the model's name, with an optional `:version`, for a container started by hand.
pub const ENV_MODEL: &str = "CUTTER_MODEL";
