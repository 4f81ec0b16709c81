//! The quick ways in and out of the store: the common cases, in as few instructions as possible.

use super::{cost_of, CopiedBody, Header, Held, HeldRef, HeldToken, Lane, Store, COPY_COST, NOTHING, TOKEN_COST_MIN};
use crate::base::{Id, Nanos};
use crate::message::{Bodies, Delivery, Message};
use crate::wire::{cell::CELL_BODY_LEN, Command};

/// Where the body of a message is to be copied to, if it has no token.
#[must_use]
pub struct HeldPlace<'s>(Option<&'s mut CopiedBody>);

impl HeldPlace<'_> {
    /// Copies the body of the message that the place is for.
    #[inline(always)]
    pub fn fill(self, message: &Message<'_>) {
        if let Some(room) = self.0.and_then(|place| place.0.get_mut(..message.body.len())) {
            room.copy_from_slice(message.body);
        }
    }
}

impl Store {
    /// Like [`Store::push_at`], where a slot is free. The caller fills the place. None, and nothing is changed, when
    /// the pool has to grow first.
    #[inline(always)]
    #[must_use]
    pub fn push_quick(
        &mut self,
        lane: &mut Lane,
        number: u64,
        message: &Message<'_>,
        now: Nanos,
    ) -> Option<HeldPlace<'_>> {
        let at = self.tick(now);
        let slot = if message.token.is_some() { self.tokens.take_free() } else { self.copied.take_free() }?;
        let mark = if message.token.is_some() { HeldRef::TOKEN } else { 0 };
        let cost = u64::from(cost_of(message));
        self.budget.hold(cost);
        self.append(lane, HeldRef(slot.to_bits() | mark), number);
        lane.bytes += cost;
        let header = Header {
            at,
            next_number: NOTHING,
            next: HeldRef::NONE,
            stream_id: message.stream_id,
            body_len: message.body.len() as u16,
            command: message.command.0,
        };
        Some(match message.token {
            Some(token) => {
                if let Some(held) = self.tokens.get_mut(slot) {
                    *held = Held { header, content: HeldToken { token: token.token, cost: token.cost, in_use: true } };
                }
                HeldPlace(None)
            }
            None => {
                let held = self.copied.get_mut(slot);
                HeldPlace(held.map(|held| {
                    held.header = header;
                    &mut held.content
                }))
            }
        })
    }

    /// Like [`Store::pop`], where the first message has this number and form, the next one follows at once, and the
    /// budget has nothing to give back. The caller lets `bodies` take the body. None, and nothing is changed, in any
    /// other case.
    #[inline(always)]
    pub fn pop_quick<const TOKEN: bool>(
        &mut self,
        lane: &mut Lane,
        number: u64,
        bodies: &impl Bodies,
    ) -> Option<(Delivery, u32, &[u8])> {
        let (slot, Store { copied, tokens, lent, budget, .. }) = (lane.head.slot(), self);
        let follows = |header: &Header| header.next_number == number + 1;
        let (header, token, cost, body);
        if TOKEN {
            let held = tokens.get_mut(slot).filter(|held| follows(&held.header))?;
            (header, token, body) = (held.header, Some(held.content.token()), &[][..]);
            cost = held.content.cost.max(TOKEN_COST_MIN);
            budget.release_quick(cost.into())?;
            held.content.in_use = false;
            tokens.put(slot);
        } else {
            let mut takes = |held: &Held<CopiedBody>| {
                let Header { body_len, .. } = held.header;
                let fits = usize::from(body_len) <= CELL_BODY_LEN && bodies.fit(body_len);
                (fits && follows(&held.header)).then(|| budget.release_quick(COPY_COST.into()))?
            };
            let held = if bodies.lend() {
                let held = copied.get(slot)?;
                takes(held)?;
                *lent = Some(slot);
                held
            } else {
                copied.put_if(slot, takes)?
            };
            (header, token, cost) = (held.header, None, COPY_COST);
            body = held.content.0.get(..usize::from(header.body_len)).unwrap_or_default();
        }
        lane.advance(&header, cost);
        let delivery = Delivery {
            number,
            leg: Id::NONE,
            tag: 0,
            command: Command(header.command),
            stream_id: header.stream_id,
            body_len: body.len() as u16,
            len: header.body_len,
            token,
        };
        Some((delivery, cost, body))
    }
}
