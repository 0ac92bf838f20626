//! The core in a simulated world: pure logic, simulated containers, simulated time.
//!
//! [`world`] the simulator · [`fleet`] its containers · [`oracle`] what must hold whatever happens
//! · [`anything`] random worlds · [`admission`], [`abandoned`], [`batches`], [`failures`],
//! [`halves`], [`hedging`], [`several`], [`changes`], [`inspect`], [`sharing`], [`timing`],
//! [`filling`], [`warming`] one thing at a time · [`load`] experiments under load.

mod abandoned;
mod admission;
mod anything;
mod batches;
mod changes;
mod failures;
mod filling;
mod fleet;
mod halves;
mod hedging;
mod inspect;
mod load;
mod oracle;
mod several;
mod sharing;
mod timing;
mod warming;
mod world;
