//! `circflow_hub_*`: what the engines of one process share.

use super::door;
use super::engine::circflow_engine;
use super::handle::{self, Sign};
use super::id::*;
use super::out::Out;
use super::outside;
use super::sized;
use super::status::circflow_status;
use super::status::circflow_status::*;
use crate::base::{limits, Id};
use crate::engine::{is_set, EngineHub};
use crate::hub;
use libc::{c_void, size_t};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::Arc;
use zeroize::Zeroize;

/// What joins the engines of one process, so that one set can have legs on several event loops, and memory has one
/// budget. Opaque. The one thing here that any thread may use at any time.
///
/// From circflow_hub_new() to circflow_hub_free(); engines that have joined keep what they need of it. Every function
/// that takes a hub can also answer CIRCFLOW_ERR_BAD_HANDLE.
pub struct circflow_hub {
    _opaque: [u8; 0],
}

/// What a hub is made with. Fill it with circflow_hub_config_init(), then change what you want.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct circflow_hub_config {
    /// sizeof(circflow_hub_config) as your compiler saw it.
    pub size: size_t,
    /// Random bytes of yours: nonces are looked up under them. All zero is for tests.
    pub seed: [u8; 32],
    /// Bytes that all engines together may hold, whatever it is: for order, for sending, at edges, and on the way
    /// between engines. What waits to be handed back to you is not held any more. 0: nothing may wait, so the first
    /// message out of order closes its set, and the first cell at a full channel its circuit. Default 1 GiB.
    pub held_bytes_max: u64,
}

/// A set or a circuit to close, so that there is memory again.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct circflow_victim {
    /// The engine on which it lives: circflow_set_close() or circflow_circuit_close() it there, on its thread. It may
    /// have ended by then.
    pub engine_number: u32,
    /// Zero.
    pub reserved: u32,
    /// The set; zero when it is a circuit.
    pub set: circflow_set_id,
    /// What it holds, in bytes, as its engine last said: a set may hold three eighths more.
    pub bytes: u64,
    /// The circuit; zero when it is a set. A circuit that is a leg can be named for what waits at its own edges.
    pub circuit: circflow_circuit_id,
}

/// Figures of a hub. Set size to sizeof before each call.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct circflow_hub_stats {
    /// sizeof(circflow_hub_stats) as your compiler saw it.
    pub size: size_t,
    /// Engines that have joined and were not freed.
    pub engines: u32,
    /// Zero.
    pub reserved: u32,
    /// Sets alive, on all of them.
    pub sets: u64,
    /// Bytes that the engines have reserved for what they hold. Each reserves in blocks of up to 64 KiB (less where the
    /// hub's cap is below 64 MiB), so this is at least what they hold (circflow_engine_stats.held_bytes), and at most a
    /// block more for each; the same once each has been drained to the end, ticked or trimmed.
    pub reserved_bytes: u64,
    /// The most that was ever reserved. It can be above the cap by up to an eighth: what an engine is to close that
    /// another one has named counts as given back.
    pub reserved_bytes_peak: u64,
    /// Padding cells that its engines have sent.
    pub padding_sent: u64,
    /// Other cells that they have sent, as far as each has told: by its last tick, and whenever it pads.
    pub others_sent: u64,
    /// Padding that a budget refused.
    pub padding_refused: u64,
}

/// Wakes an engine's event loop: another engine has news for it, or it has not looked at all yet itself. Called at the
/// end of a call on either engine, so on the other's thread or on its own, and from circflow_hub_set_padding_budget().
/// It may write to an eventfd or a pipe, and call circflow_hub_get_stats(), and nothing else; circflow_engine_free(),
/// of any engine, answers CIRCFLOW_ERR_REENTRANT. The loop then calls circflow_engine_tick(), and drains. Once for all
/// the news there is; again only after a tick has taken it. A tick that leaves some makes the deadline 0.
///
/// With an eventfd, all of it is
///
///   static void wake(void *fd) { eventfd_write(*(int *)fd, 1); }
///
///   circflow_engine_join(engine, hub, wake, &fd);
///   for (;;) {
///      poll(fds, fd_count, timeout_until(deadline));
///      eventfd_read(fd, &ignored);
///      circflow_engine_tick(engine, now());
///      feed_what_came_and_drain();
///   }
pub type circflow_notify_fn = Option<unsafe extern "C-unwind" fn(userdata: *mut c_void)>;

// SAFETY (both): repr(C), size first, integers and arrays of integers.
unsafe impl sized::Growing for circflow_hub_config {}
unsafe impl sized::Growing for circflow_hub_stats {}

/// Fills a config with the defaults. Pass sizeof(circflow_hub_config).
///
/// Own statuses: none.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
pub unsafe extern "C-unwind" fn circflow_hub_config_init(
    config: *mut circflow_hub_config,
    size: size_t,
) -> circflow_status {
    // SAFETY: NULL or a struct that begins with its size, by the contract of this floor.
    door::alone(|| unsafe { sized::init(config, size, config_defaults()) })
}

/// Makes a hub. On CIRCFLOW_OK it is yours until circflow_hub_free().
///
/// Own statuses: none.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
#[must_use]
pub unsafe extern "C-unwind" fn circflow_hub_new(
    config: *const circflow_hub_config,
    hub_out: *mut *mut circflow_hub,
) -> circflow_status {
    door::alone(|| {
        if hub_out.is_null() {
            return CIRCFLOW_ERR_NULL;
        }
        // SAFETY: NULL or a struct that begins with its size, by the contract of this floor.
        let mut config = match unsafe { sized::read(config, config_defaults()) } {
            Ok(config) => config,
            Err(status) => return status,
        };
        let mut core = hub::HubConfig { seed: config.seed, held_bytes_max: config.held_bytes_max };
        let made = EngineHub::new(&core);
        config.seed.zeroize();
        core.seed.zeroize();
        let house = House { sign: Sign::new(AtomicU32::new(OPEN)), core: made };
        // SAFETY: not NULL, and there is room by the contract of this floor.
        unsafe { hub_out.write(Arc::into_raw(Arc::new(house)).cast_mut().cast()) };
        CIRCFLOW_OK
    })
}

/// Lets a hub go. Engines that have joined go on, and still know each other, and until the last of them is freed,
/// circflow_hub_get_stats() still answers: their notify may ask it. All else answers CIRCFLOW_ERR_BAD_HANDLE for it,
/// this function as well. NULL is fine.
///
/// Own statuses: none.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
pub unsafe extern "C-unwind" fn circflow_hub_free(hub: *mut circflow_hub) -> circflow_status {
    door::alone(|| {
        // SAFETY: by the contract of this function.
        let house = match unsafe { find(hub, OPEN) } {
            Ok(house) => house,
            Err(CIRCFLOW_ERR_NULL) => return CIRCFLOW_OK,
            Err(status) => return status,
        };
        if house.sign.word.compare_exchange(OPEN, LET_GO, Ordering::AcqRel, Ordering::Acquire).is_err() {
            return CIRCFLOW_ERR_BAD_HANDLE;
        }
        // SAFETY: from circflow_hub_new(), and not freed before: its word has just said so.
        drop(unsafe { Arc::from_raw(hub.cast::<House>().cast_const()) });
        CIRCFLOW_OK
    })
}

/// An engine joins a hub, before it has circuits or sets; it leaves when it is freed. Its engine_number must be its own
/// among the engines of the hub, and all of them get the same monotonic clock.
///
/// From then on a LINK whose nonce belongs to a set on another engine makes the circuit a leg of that set, wherever it
/// is. The set lives on the engine that saw its first LINK, its home; its streams, and every message that is
/// delivered, are there. At the circuit's engine, what comes on it is answered with HELD, and what the set sends on it
/// comes as CIRCFLOW_INSN_SEND. At the home, a message that goes out on such a leg is answered with HELD, and `circuit`
/// in an instruction can be another engine's: it is a name then, to be compared and printed, with the tag you gave the
/// circuit there. A token that crosses is handed back on the thread of the engine where it ends up: what it stands
/// for must be usable there.
///
/// At the circuit's engine, CIRCFLOW_INSN_PAUSE_FEED with CIRCFLOW_SIDE_BACK says that the home lags: keep what else
/// comes on the circuit; edge_over_cells more are taken before it closes. Padding on the circuit, its SENDMEs, and
/// reports of how it stands are that engine's business, as before. A violation on it reaches as far as on a leg at
/// home.
///
/// Only LINKs find sets elsewhere: a client's set has its legs on its own engine.
///
/// When an engine is freed, its circuits are lost to the sets elsewhere, and the legs elsewhere of its sets are told to
/// close.
///
/// @param notify    Wakes this engine's loop.
/// @param userdata  For notify. Both are used until the engine is freed.
///
/// Own statuses: CIRCFLOW_ERR_INVALID: it has joined one, or has circuits or sets, or the tag is taken;
/// CIRCFLOW_ERR_TOO_MANY: 256 engines.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
#[must_use]
pub unsafe extern "C-unwind" fn circflow_engine_join(
    engine: *mut circflow_engine,
    hub: *mut circflow_hub,
    notify: circflow_notify_fn,
    userdata: *mut c_void,
) -> circflow_status {
    // SAFETY: the contract of this floor, which the caller keeps.
    let Some(call) = notify else { return unsafe { door::refuse(engine, CIRCFLOW_ERR_NULL) } };
    // SAFETY: by the contract of this function.
    let hub = match unsafe { find(hub, OPEN) } {
        Ok(hub) => hub,
        // SAFETY: the contract of this floor, which the caller keeps.
        Err(status) => return unsafe { door::refuse(engine, status) },
    };
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe {
        door::enter(engine, |core| {
            // SAFETY: from circflow_hub_new(), which has made an Arc of it, and alive.
            Arc::increment_strong_count(hub);
            // SAFETY: the one that was just counted.
            let hub_kept = Arc::from_raw(std::ptr::from_ref(hub));
            let host = Arc::new(outside::Host { call, userdata, _keeps: hub_kept });
            core.join_hub(&hub.core, Arc::new(move |call| outside::wake(&host, call)))
        })
    }
}

/// Says whom to close, on which engine, so that `bytes_wanted` bytes come free: the sets and circuits come first that
/// have the greatest product of bytes and age of the oldest of them; one that holds less than a quarter of its share of
/// the cap (cap / holders) only when no larger one is left. Answers at once, from any thread; nothing is freed by it,
/// and who was named is not named again until it holds nothing any more. When an engine finds no room, circflow does
/// the same by itself: this is for a host that is short of memory for other reasons.
///
/// @param victims      Entries of room.
/// @param victim_cap   How many. With too few, the sum is what those hold.
/// @param count_out    Entries written.
/// @param bytes_out    What they hold together. May be NULL.
///
/// Own statuses: none.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
#[must_use]
pub unsafe extern "C-unwind" fn circflow_hub_choose_victims(
    hub: *mut circflow_hub,
    bytes_wanted: u64,
    victims: *mut circflow_victim,
    victim_cap: size_t,
    count_out: *mut size_t,
    bytes_out: *mut u64,
) -> circflow_status {
    door::alone(|| {
        // SAFETY: the contract of this floor, which the caller keeps.
        let hub = match unsafe { core(hub) } {
            Ok(hub) => hub,
            Err(status) => return status,
        };
        if count_out.is_null() || (victims.is_null() && victim_cap != 0) {
            return CIRCFLOW_ERR_NULL;
        }
        let mut found = Vec::new();
        let bytes = hub.reclaim(bytes_wanted, victim_cap, &mut found);
        for (index, victim) in found.iter().enumerate() {
            // SAFETY: no more than `victim_cap` were found, and so many entries are there by the contract of this
            // function.
            unsafe {
                victims.add(index).write(circflow_victim {
                    engine_number: u32::from(victim.engine),
                    reserved: 0,
                    set: circflow_set_id::new(if is_set(victim.id) { victim.id } else { Id::NONE }),
                    bytes: victim.bytes,
                    circuit: circflow_circuit_id::new(if is_set(victim.id) { Id::NONE } else { victim.id }),
                })
            };
        }
        // SAFETY: not NULL, and there is room by the contract of this floor.
        unsafe { count_out.write(found.len()) };
        // SAFETY: NULL or room, by the contract of this floor.
        unsafe { Out::give(bytes_out, bytes) };
        CIRCFLOW_OK
    })
}

/// Figures of a hub, from any thread. Set stats->size to sizeof(circflow_hub_stats) first.
///
/// Own statuses: none.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
pub unsafe extern "C-unwind" fn circflow_hub_get_stats(
    hub: *mut circflow_hub,
    stats: *mut circflow_hub_stats,
) -> circflow_status {
    door::alone(|| {
        // SAFETY: by the contract of this function.
        let hub = match unsafe { find(hub, OPEN) }.or_else(|status| unsafe { find(hub, LET_GO) }.map_err(|_| status)) {
            Ok(hub) => &hub.core,
            Err(status) => return status,
        };
        let spent = hub.padding().spent();
        let figures = circflow_hub_stats {
            size: size_of::<circflow_hub_stats>(),
            engines: hub.engines() as u32,
            reserved: 0,
            sets: hub.claims() as u64,
            reserved_bytes: hub.process().reserved(),
            reserved_bytes_peak: hub.process().peak(),
            padding_sent: spent.padding,
            others_sent: spent.other,
            padding_refused: spent.refused,
        };
        // SAFETY: NULL or a struct that begins with its size, by the contract of this floor.
        unsafe { sized::write(stats, figures) }
    })
}

/// What a handle really points to.
#[repr(C)]
struct House {
    sign: Sign<AtomicU32>,
    core: EngineHub,
}

/// Words of a hub: the host has it, or has let it go and engines still need it.
const OPEN: u32 = handle::HUB | 1;
const LET_GO: u32 = handle::HUB | 2;

impl Drop for House {
    fn drop(&mut self) {
        // SAFETY: its own memory, which goes next.
        unsafe { handle::mark_freed::<House>(self) }
    }
}

/// The hub behind the pointer, when its word is this one.
unsafe fn find<'a>(hub: *mut circflow_hub, word: u32) -> Result<&'a House, circflow_status> {
    if hub.is_null() {
        return Err(CIRCFLOW_ERR_NULL);
    }
    // SAFETY: by the contract of this function.
    if unsafe { handle::shared_word(hub) } != Some(word) {
        return Err(CIRCFLOW_ERR_BAD_HANDLE);
    }
    // SAFETY: it is one, by its word, and alive as far as that can be known; a hub is only ever shared.
    Ok(unsafe { &*hub.cast::<House>().cast_const() })
}

/// A hub that is the host's.
pub(super) unsafe fn core<'a>(hub: *mut circflow_hub) -> Result<&'a EngineHub, circflow_status> {
    // SAFETY: by the contract of this function.
    (unsafe { find(hub, OPEN) }).map(|house| &house.core)
}

fn config_defaults() -> circflow_hub_config {
    circflow_hub_config {
        size: size_of::<circflow_hub_config>(),
        seed: [0; 32],
        held_bytes_max: limits::HUB_HELD_BYTES_DEFAULT,
    }
}
