//! When to send SENDMEs: counts what this end of a circuit has received from one hop.

use super::params::Inc;

/// Counts the DATA cells that one hop sent.
#[derive(Clone, Debug)]
pub struct Acks {
    left: u16,
    inc: Inc,
}

impl Acks {
    /// For a circuit on which one SENDME acknowledges `inc` cells.
    pub fn new(inc: Inc) -> Self {
        Acks { left: inc.as_u16(), inc }
    }

    /// Counts a DATA cell. True when a SENDME is due. It goes at once, before reordering and delivery, on the leg that
    /// the cell came on, with the digest of exactly this cell (SEN-1, SEN-2).
    #[inline]
    pub fn data(&mut self) -> bool {
        // Counting down to 0 spares the comparison with another field.
        self.left -= 1;
        if self.left != 0 {
            return false;
        }
        self.left = self.inc.as_u16();
        true
    }

    /// True when the next DATA cell makes a SENDME due.
    #[inline]
    pub fn is_due_next(&self) -> bool {
        self.left == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sen_1_a_sendme_for_every_inc_th_cell() {
        for inc in [1, 2, 31, 254, 255] {
            let mut acks = Acks::new(Inc::new(inc).unwrap());
            for cell in 1..=4 * inc {
                assert_eq!(acks.data(), cell % inc == 0, "inc {inc}, cell {cell}");
            }
        }
    }
}
