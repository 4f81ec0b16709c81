//! What happens in the engines of a world, as `circflow-trace` reads it.

use crate::world::World;
use circflow::event::Class;
use std::io::Write;

/// Room for what happens in an engine between two events of the world, many times over.
const RING_BYTES: usize = 1 << 20;
const PIECE_BYTES: usize = 1 << 16;

impl World {
    /// Records all that happens in all engines from now on. Their numbers are those of the nodes, and one more.
    pub fn record(&mut self, to: Box<dyn Write>) {
        for node in &mut self.nodes {
            node.engine.record(RING_BYTES, Class::EVERY).expect("an engine records");
            node.engine.events().set_sink(Some(Box::new(())));
        }
        self.record = Some(to);
    }

    /// Writes what a node has recorded: all of it, or when it is much.
    pub fn write_record(&mut self, node: usize, at_the_end: bool) {
        let (Some(to), Some(at)) = (&mut self.record, self.nodes.get_mut(node)) else { return };
        let mut piece = [0; PIECE_BYTES];
        while at.engine.events().sink_when_due(at_the_end).is_some() {
            let (len, lost) = at.engine.events().read(&mut piece).expect("the buffer is large enough");
            assert_eq!(lost, 0, "no event is overwritten");
            if len == 0 {
                return;
            }
            to.write_all(&piece[..len]).expect("the record can be written");
        }
    }

    /// Writes what all nodes have recorded.
    pub fn end_record(&mut self) {
        for node in 0..self.nodes.len() {
            self.write_record(node, true);
        }
        if let Some(to) = &mut self.record {
            to.flush().expect("the record can be written");
        }
    }
}
