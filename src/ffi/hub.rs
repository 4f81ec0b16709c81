//! `circflow_hub_*`: hubs, which engines of one process share.

use super::door;
use super::engine::circflow_engine;
use super::engine::memory::{circflow_victim, write_victims};
use super::handle::{self, Sign};
use super::out::Out;
use super::outside;
use super::sized;
use super::status::circflow_status;
use super::status::circflow_status::*;
use crate::base::limits;
use crate::engine::EngineHub;
use crate::hub;
use libc::{c_void, size_t};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::Arc;
use zeroize::Zeroize;

/// Joins the engines of one process, so that one set can have legs on several event loops, and all engines share one
/// bound of memory. Opaque. Any thread may use it at any time; nothing else in this header is so.
///
/// It lives from circflow_hub_new() to circflow_hub_free(). Engines that have joined keep the parts of it that they
/// need.
pub struct circflow_hub {
    _opaque: [u8; 0],
}

/// The configuration of a hub. Fill it with circflow_hub_config_init(), then change what you want.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct circflow_hub_config {
    /// sizeof(circflow_hub_config) as your compiler saw it.
    pub size: size_t,
    /// Random bytes of yours. circflow hashes nonces with them. All zero is for tests only.
    pub seed: [u8; 32],
    /// Bytes that all engines together may hold: for order, for sending, at edges, and on the way between engines.
    /// Messages that wait to be handed back to you do not count. With 0 nothing may wait: the first message out of
    /// order closes its set, and the first cell at a full channel closes its circuit. Default 1 GiB.
    pub held_bytes_max: u64,
}

/// Figures of a hub. Set size to sizeof before each call.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct circflow_hub_stats {
    /// sizeof(circflow_hub_stats) as your compiler saw it.
    pub size: size_t,
    /// Engines that have joined and are not freed yet.
    pub engines: u32,
    /// Zero.
    pub reserved: u32,
    /// Sets alive, on all engines.
    pub sets: u64,
    /// Bytes that the engines have reserved for held messages. Each engine reserves blocks of up to 64 KiB (less if
    /// held_bytes_max of the hub is below 64 MiB). So this is at least the sum of circflow_engine_stats.held_bytes, and
    /// at most one block more for each engine. It is equal to the sum once each engine has been drained to the end,
    /// ticked or trimmed.
    pub reserved_bytes: u64,
    /// The highest value of reserved_bytes so far. It can be up to an eighth above held_bytes_max: when one engine
    /// names a victim on another one, the victim's bytes count as free before it is closed.
    pub reserved_bytes_peak: u64,
    /// Padding cells that the engines have sent.
    pub padding_sent: u64,
    /// Other cells that the engines have sent, up to their last tick or padding cell.
    pub others_sent: u64,
    /// Padding cells that a budget refused.
    pub padding_refused: u64,
}

/// A function of yours that wakes an engine's event loop. circflow calls it when another engine has sent news to this
/// engine, or when this engine has not taken all its news. The call comes at the end of a call on either engine, on the
/// thread of that call, and from circflow_hub_set_padding_budget(). The function may write to an eventfd or a pipe, and
/// may call circflow_hub_get_stats(); it may do nothing else. (circflow_engine_free() answers CIRCFLOW_ERR_REENTRANT
/// inside it, for every engine.) The loop then calls circflow_engine_tick(), and drains. One call stands for all news
/// that waits; the next comes only after a tick has taken them. If a tick leaves some, the deadline is 0.
///
/// With an eventfd, the whole code is
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

/// Fills a config with the defaults. Pass sizeof(circflow_hub_config) as size.
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

/// Frees a hub. Engines that have joined go on, and stay joined. Until the last of them is freed,
/// circflow_hub_get_stats() still answers, as their notify may call it. All other functions answer
/// CIRCFLOW_ERR_BAD_HANDLE for the hub, this one included. A hub that is NULL is fine.
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

/// Joins an engine to a hub. The engine must not have circuits or sets yet. It leaves the hub when it is freed. No
/// other engine of the hub may have its engine_number, and all of them need the same monotonic clock.
///
/// From then on, a LINK with the nonce of a set on another engine makes the circuit a leg of that set. The set lives on
/// the engine that saw its first LINK: its home. The home has the streams, and every message is delivered there.
///
/// At the circuit's engine, a message that comes gets the verdict HELD, and a message that the set sends comes as
/// CIRCFLOW_INSN_SEND. At the home, a message that goes out on such a leg gets the verdict HELD, and `circuit` in an
/// instruction can be a circuit of another engine: you may only compare and print this id; it has the tag that you gave
/// the circuit there. A token can cross from one engine to another, and is handed back on the thread of that other
/// engine: your message must be usable there.
///
/// At the circuit's engine, CIRCFLOW_INSN_PAUSE_FEED with CIRCFLOW_SIDE_BACK means that the home is slow: keep further
/// cells of the circuit. The engine takes edge_over_cells more, then it closes the circuit. Padding on the circuit, its
/// SENDMEs and circflow_leg_update() for it stay with its own engine. A protocol violation on it has the same effect as
/// on a leg at home.
///
/// Only a LINK finds a set on another engine. So all legs of a client's set are on the engine of the set.
///
/// When an engine is freed, sets on other engines lose the legs that were its circuits, and CIRCFLOW_INSN_CLOSE comes
/// for legs of its sets on other engines.
///
/// @param notify    Wakes this engine's loop.
/// @param userdata  The argument of notify. Both are used until the engine is freed.
///
/// Own statuses: CIRCFLOW_ERR_INVALID: the engine has joined a hub already, or has circuits or sets, or its
/// engine_number is used in this hub. CIRCFLOW_ERR_TOO_MANY: the hub has 256 engines.
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

/// Names sets and circuits to close, so that `bytes_wanted` bytes become free. Those with the greatest product of bytes
/// and age of the oldest byte come first. One that holds less than a quarter of its share (the cap divided by the
/// number of holders) comes only when no larger one is left. You may call it on any thread; it answers at once. It
/// frees nothing: you close the victims. A victim is not named again until it holds nothing any more. circflow does the
/// same by itself when an engine finds no room; this function is for a host that needs memory for other reasons.
/// Without a hub, circflow_engine_choose_victims() does it for one engine.
///
/// @param bytes_wanted  The number of bytes that shall become free.
/// @param victims       Entries of room.
/// @param victim_cap    Entries of room in victims. If they are too few, fewer bytes become free.
/// @param count_out     Entries written.
/// @param bytes_out     Bytes that these victims hold together. May be NULL.
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
        // SAFETY: room for `victim_cap` entries, and no more were found; `count_out` is not NULL, and there is room.
        unsafe { write_victims(&found, |_| 0, victims, count_out) };
        // SAFETY: NULL or room, by the contract of this floor.
        unsafe { Out::give(bytes_out, bytes) };
        CIRCFLOW_OK
    })
}

/// Gives the figures of a hub. You may call it on any thread. Set stats->size to sizeof(circflow_hub_stats) first.
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

/// The struct that a handle points to.
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
