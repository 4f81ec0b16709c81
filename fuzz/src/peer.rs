//! The hostile peer of the simulation, as the bytes have it: a whole network, in which all that the simulation promises
//! must hold for those who are honest.

use circflow_sim::world::World;

/// Two bytes are the world's seed, the rest is what hostile peers do, cell by cell.
pub fn peer(bytes: &[u8]) {
    let Some((&seed, tape)) = bytes.split_first_chunk::<2>() else { return };
    let mut world = World::with_tape(u64::from(u16::from_le_bytes(seed)), false, Some(tape.to_vec()));
    world.run();
}
