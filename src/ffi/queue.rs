//! `circflow_queue_*`: a small backlog before a sink of the host's.

use super::door;
use super::handle;
use super::message::{CIRCFLOW_FORM_BYTES, CIRCFLOW_FORM_TOKEN};
use super::out::Out;
use super::sized;
use super::status::circflow_status;
use super::status::circflow_status::*;
use crate::base::limits;
use crate::queue::{Item, Packed, Pushed, Refused, Room};
use libc::{c_void, size_t};
use std::borrow::Cow;

/// An answer of circflow_queue_try_send_fn: the sink has taken the item.
pub const CIRCFLOW_SINK_TAKEN: i32 = 0;
/// An answer of circflow_queue_try_send_fn: the sink has no room now, and has taken nothing.
pub const CIRCFLOW_SINK_FULL: i32 = 1;
/// An answer of circflow_queue_try_send_fn: the sink will never take an item again, and has taken nothing.
pub const CIRCFLOW_SINK_CLOSED: i32 = 2;

/// circflow_queue_config.backlog_max for rare commands, and the default. A consumer that runs handles each within a
/// turn or two of its loop, so it has stopped when eight wait.
pub const CIRCFLOW_BACKLOG_SPARSE: u32 = 8;
const _: () = assert!(CIRCFLOW_BACKLOG_SPARSE as usize == limits::BACKLOG_SPARSE);
/// circflow_queue_config.backlog_max for events of which one block of input brings many: as many as the least
/// edge_over_cells, so that a source that pauses in time never meets the cap.
pub const CIRCFLOW_BACKLOG_EVENTS: u32 = 32;
const _: () = assert!(CIRCFLOW_BACKLOG_EVENTS as usize == limits::BACKLOG_EVENTS);
/// The highest circflow_queue_config.backlog_max.
pub const CIRCFLOW_BACKLOG_MAX: u32 = 4096;
const _: () = assert!(CIRCFLOW_BACKLOG_MAX == limits::BACKLOG_MAX);
/// The highest circflow_queue_config.item_bytes_max: the longest cell of the link protocol.
pub const CIRCFLOW_QUEUE_ITEM_MAX: u32 = 65542;
const _: () = assert!(CIRCFLOW_QUEUE_ITEM_MAX == limits::QUEUE_ITEM_MAX);

/// circflow_queue_item.form: there was no item.
pub const CIRCFLOW_FORM_NONE: u8 = 255;

/// A queue of items that wait, in order, for a sink of yours that can be full or closed. Opaque.
///
/// It needs no engine, and knows no circuits, time or instructions. It lives from circflow_queue_new() to
/// circflow_queue_free(). One thread at a time may use it. circflow_queue_push() and circflow_queue_drain() call your
/// sink, and circflow_queue_free() calls your discard function. Inside these callbacks, every call on the same queue
/// answers CIRCFLOW_ERR_REENTRANT and does nothing.
pub struct circflow_queue {
    _opaque: [u8; 0],
}

/// The configuration of a queue. Fill it with circflow_queue_config_init(), then change what you want.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct circflow_queue_config {
    /// sizeof(circflow_queue_config) as your compiler saw it.
    pub size: size_t,
    /// Items that may wait, 0 to CIRCFLOW_BACKLOG_MAX. With 0, an item that the sink does not take is refused. Default
    /// CIRCFLOW_BACKLOG_SPARSE.
    pub backlog_max: u32,
    /// Bytes of the longest item, 0 (tokens only) to CIRCFLOW_QUEUE_ITEM_MAX. Each item of bytes that waits uses so
    /// much memory. Default 514, a cell.
    pub item_bytes_max: u32,
}

/// An item: a token, which is any number of yours, or bytes, which the queue copies only if they have to wait.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct circflow_queue_item {
    /// With CIRCFLOW_FORM_TOKEN, the token.
    pub token: u64,
    /// With CIRCFLOW_FORM_BYTES, the bytes; may be NULL when there are none.
    pub bytes: *const u8,
    /// With CIRCFLOW_FORM_BYTES, the number of bytes.
    pub bytes_len: u32,
    /// CIRCFLOW_FORM_BYTES or CIRCFLOW_FORM_TOKEN.
    pub form: u8,
}

/// A function of yours that offers one item to your sink. Answer CIRCFLOW_SINK_TAKEN, CIRCFLOW_SINK_FULL or
/// CIRCFLOW_SINK_CLOSED at once. After any other answer the item counts as not taken, and circflow_queue_push() or
/// circflow_queue_drain() answers CIRCFLOW_ERR_INVALID. After an exception the item counts as not taken, too. The item
/// and its bytes are valid during the call.
pub type circflow_queue_try_send_fn =
    Option<unsafe extern "C-unwind" fn(userdata: *mut c_void, item: *const circflow_queue_item) -> i32>;

/// A function of yours that answers 0 while your sink is open, and any other number once it will never take an item
/// again.
pub type circflow_queue_is_closed_fn = Option<unsafe extern "C-unwind" fn(userdata: *mut c_void) -> i32>;

/// A function of yours that circflow_queue_free() calls for each item that waits, first to last. The item is yours
/// again. Its bytes are valid during the call.
pub type circflow_queue_discard_fn =
    Option<unsafe extern "C-unwind" fn(userdata: *mut c_void, item: *const circflow_queue_item)>;

/// Your sink. It is read in each call, and not kept.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct circflow_queue_sink {
    /// Must not be NULL.
    pub try_send: circflow_queue_try_send_fn,
    /// Must not be NULL. It is called before an item is put to wait, and before a waiting item is offered.
    pub is_closed: circflow_queue_is_closed_fn,
    /// The argument of both functions.
    pub userdata: *mut c_void,
}

// SAFETY: repr(C), size first, integers.
unsafe impl sized::Growing for circflow_queue_config {}

/// Fills a config with the defaults. Pass sizeof(circflow_queue_config) as size.
///
/// Own statuses: none.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
pub unsafe extern "C-unwind" fn circflow_queue_config_init(
    config: *mut circflow_queue_config,
    size: size_t,
) -> circflow_status {
    // SAFETY: NULL or a struct that begins with its size, by the contract of this floor.
    door::alone(|| unsafe { sized::init(config, size, config_defaults()) })
}

/// Makes a queue. On CIRCFLOW_OK it is yours until circflow_queue_free(). It allocates memory for items only when one
/// has to wait. When none waits any more, it keeps memory for CIRCFLOW_BACKLOG_SPARSE items, or for as many as have
/// waited twice in a row, at most 64.
///
/// @param config  From circflow_queue_config_init(). It is copied.
///
/// Own statuses: CIRCFLOW_ERR_INVALID: backlog_max or item_bytes_max is too large.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
#[must_use]
pub unsafe extern "C-unwind" fn circflow_queue_new(
    config: *const circflow_queue_config,
    queue_out: *mut *mut circflow_queue,
) -> circflow_status {
    door::alone(|| {
        if queue_out.is_null() {
            return CIRCFLOW_ERR_NULL;
        }
        // SAFETY: NULL or a struct that begins with its size, by the contract of this floor.
        let config = match unsafe { sized::read(config, config_defaults()) } {
            Ok(config) => config,
            Err(status) => return status,
        };
        if config.backlog_max > limits::BACKLOG_MAX || config.item_bytes_max > limits::QUEUE_ITEM_MAX {
            return CIRCFLOW_ERR_INVALID;
        }
        // SAFETY: not NULL, and there is room by the contract of this floor.
        unsafe {
            queue_out.write(door::open(Packed::new(config.backlog_max as usize, config.item_bytes_max as usize)))
        };
        CIRCFLOW_OK
    })
}

/// Frees a queue. It first hands back the items that wait through `discard`, in order, also when the queue is poisoned.
/// A queue that is NULL is fine.
///
/// @param discard  Called once for each item that waits. It may be NULL: then the items are dropped.
///
/// Own statuses: CIRCFLOW_ERR_REENTRANT inside a callback of this queue: the queue lives on.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
pub unsafe extern "C-unwind" fn circflow_queue_free(
    queue: *mut circflow_queue,
    discard: circflow_queue_discard_fn,
    userdata: *mut c_void,
) -> circflow_status {
    let last = |core: &mut Packed, left: &mut LeftItems| {
        if std::mem::take(&mut left.is_given) {
            core.drop_first();
        }
    };
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe {
        door::close(
            queue,
            || (),
            last,
            discard.map(|discard| {
                // SAFETY: the host's own function, called with the host's own userdata.
                move |item| discard(userdata, &item)
            }),
        )
    }
}

/// Progress of freeing a queue.
#[derive(Default)]
pub(super) struct LeftItems {
    /// The first of what waits was handed back.
    is_given: bool,
}

impl handle::Handle for circflow_queue {
    const KIND: u32 = handle::QUEUE;
    type Core = Packed;
    type Error = circflow_status;
    type Left = LeftItems;

    fn explains(_: &mut Packed, _: &circflow_status) -> bool {
        false
    }

    fn detail(_: &Packed) -> Cow<'_, str> {
        Cow::Borrowed("")
    }
}

impl handle::Leave for circflow_queue {
    type Item = circflow_queue_item;

    fn next(core: &mut Packed, left: &mut LeftItems) -> Option<circflow_queue_item> {
        let first = core.first().map(lend);
        left.is_given = first.is_some();
        first
    }

    fn gone(core: &mut Packed, left: &mut LeftItems) {
        left.is_given = false;
        core.drop_first();
    }
}

/// Sends an item: to the sink if no item waits, otherwise to the end of the waiting items. The order is always kept.
///
/// @param item      The item. It is copied if it has to wait.
/// @param kept_out  0 when the sink has taken the item, 1 when it waits. After 1 stop reading the source, drain when
///                  the sink has room, and read again when circflow_queue_get_pending() gives 0. May be NULL.
/// @param sink      Your sink.
///
/// Own statuses: CIRCFLOW_ERR_QUEUE_FULL: the sink is full, and backlog_max items wait. CIRCFLOW_ERR_SINK_CLOSED: take
/// waiting items out with circflow_queue_take(). CIRCFLOW_ERR_NULL: the item, its bytes, the sink or one of its
/// functions is NULL. CIRCFLOW_ERR_INVALID: an unknown form, more bytes than item_bytes_max, or an unknown answer of
/// try_send. After each of them the item is still yours.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
#[must_use]
pub unsafe extern "C-unwind" fn circflow_queue_push(
    queue: *mut circflow_queue,
    item: *const circflow_queue_item,
    kept_out: *mut u8,
    sink: *const circflow_queue_sink,
) -> circflow_status {
    // SAFETY: the contract of this floor, which the caller keeps.
    let (item, host) = match (unsafe { read(item) }, unsafe { Host::new(sink) }) {
        (Ok(item), Ok(host)) => (item, host),
        (Err(status), _) | (_, Err(status)) => return status,
    };
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe {
        door::converse(queue, |talk| {
            // Trying is how a sink is asked for room, so it must not be asked when the item may not pass.
            let may_pass = talk.step(|core| match item {
                Item::Bytes(bytes) if bytes.len() > core.bytes_max() => Err(CIRCFLOW_ERR_INVALID),
                _ => Ok(!core.has_pending()),
            })??;
            let mut room = Room::Open;
            if may_pass {
                room = host.try_send(&lend(item))?;
            }
            let pushed = if may_pass && room == Room::Open {
                Pushed::Through
            } else {
                // A sink that says that it is full, or was not asked, may be closed as well.
                let room = if room == Room::Closed || host.is_closed() { Room::Closed } else { room };
                talk.step(|core| core.put(room, item))?.map_err(|refused| match refused {
                    Refused::Full(()) => CIRCFLOW_ERR_QUEUE_FULL,
                    Refused::Closed(()) => CIRCFLOW_ERR_SINK_CLOSED,
                })?
            };
            // SAFETY: NULL or room, by the contract of this floor.
            Out::give(kept_out, u8::from(pushed == Pushed::Kept));
            Ok(())
        })
    }
}

/// Moves waiting items into the sink, one at a time and in order, until the sink is full or no item waits. An item that
/// is not taken stays the first. Call it when the sink has room again and circflow_queue_get_pending() gives 1.
///
/// @param moved_out  Number of items that the sink has taken. May be NULL.
/// @param sink       Your sink.
///
/// Own statuses: CIRCFLOW_ERR_SINK_CLOSED, also when no item waits: take waiting items out with circflow_queue_take().
/// CIRCFLOW_ERR_NULL: the sink or one of its functions is NULL. CIRCFLOW_ERR_INVALID: an unknown answer of try_send;
/// the item still waits.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
pub unsafe extern "C-unwind" fn circflow_queue_drain(
    queue: *mut circflow_queue,
    moved_out: *mut u32,
    sink: *const circflow_queue_sink,
) -> circflow_status {
    // SAFETY: the contract of this floor, which the caller keeps.
    let host = match unsafe { Host::new(sink) } {
        Ok(host) => host,
        Err(status) => return status,
    };
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe {
        door::converse(queue, |talk| {
            if host.is_closed() {
                return Err(CIRCFLOW_ERR_SINK_CLOSED);
            }
            let mut moved = 0u32;
            let mut next = talk.step(|core| core.first().map(lend))?;
            while let Some(first) = next {
                match host.try_send(&first)? {
                    Room::Open => {}
                    Room::Full => break,
                    Room::Closed => return Err(CIRCFLOW_ERR_SINK_CLOSED),
                }
                // One step, as each looks at the queue anew: the host may have called it meanwhile.
                next = talk.step(|core| {
                    core.drop_first();
                    core.first().map(lend)
                })?;
                moved += 1;
            }
            // SAFETY: NULL or room, by the contract of this floor.
            Out::give(moved_out, moved);
            Ok(())
        })
    }
}

/// Gives the number of items that wait.
///
/// Own statuses: none.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
pub unsafe extern "C-unwind" fn circflow_queue_get_len(
    queue: *mut circflow_queue,
    len_out: *mut u32,
) -> circflow_status {
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe { door::answer(queue, len_out, |core| Ok(core.len() as u32)) }
}

/// Tells whether an item waits: 1 or 0. While it is 1, wait for room in the sink, and do not read the source.
///
/// Own statuses: none.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
pub unsafe extern "C-unwind" fn circflow_queue_get_pending(
    queue: *mut circflow_queue,
    pending_out: *mut u8,
) -> circflow_status {
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe { door::answer(queue, pending_out, |core| Ok(u8::from(core.has_pending()))) }
}

/// Takes the first waiting item back out, whatever the state of the sink. Use it after CIRCFLOW_ERR_SINK_CLOSED. When
/// no item waits, item_out->form is CIRCFLOW_FORM_NONE.
///
/// @param buf       Room for the bytes; item_out->bytes points there. item_bytes_max bytes are always enough.
/// @param buf_cap   Bytes of room there.
///
/// Own statuses: CIRCFLOW_ERR_TOO_SMALL: the item has more bytes. It is still the first: call again with a larger
/// buffer.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
#[must_use]
pub unsafe extern "C-unwind" fn circflow_queue_take(
    queue: *mut circflow_queue,
    buf: *mut u8,
    buf_cap: size_t,
    item_out: *mut circflow_queue_item,
) -> circflow_status {
    if item_out.is_null() || (buf.is_null() && buf_cap != 0) {
        return CIRCFLOW_ERR_NULL;
    }
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe {
        door::enter(queue, |core| {
            let taken = match core.first() {
                None => {
                    circflow_queue_item { token: 0, bytes: std::ptr::null(), bytes_len: 0, form: CIRCFLOW_FORM_NONE }
                }
                Some(Item::Token(token)) => lend(Item::Token(token)),
                Some(Item::Bytes(bytes)) if bytes.len() > buf_cap => return Err(CIRCFLOW_ERR_TOO_SMALL),
                Some(Item::Bytes(bytes)) => {
                    // SAFETY: `buf_cap` bytes are there by the contract of this function, and with no room there are no
                    // bytes.
                    std::ptr::copy_nonoverlapping(bytes.as_ptr(), buf, bytes.len());
                    circflow_queue_item { bytes: buf, ..lend(Item::Bytes(bytes)) }
                }
            };
            core.drop_first();
            item_out.write(taken);
            Ok(())
        })
    }
}

fn config_defaults() -> circflow_queue_config {
    circflow_queue_config {
        size: size_of::<circflow_queue_config>(),
        backlog_max: CIRCFLOW_BACKLOG_SPARSE,
        item_bytes_max: limits::QUEUE_ITEM_DEFAULT,
    }
}

unsafe fn read<'a>(item: *const circflow_queue_item) -> Result<Item<'a>, circflow_status> {
    // SAFETY: NULL or one valid item, by the contract of the floor.
    let item = unsafe { item.as_ref() }.ok_or(CIRCFLOW_ERR_NULL)?;
    match item.form {
        CIRCFLOW_FORM_TOKEN => Ok(Item::Token(item.token)),
        CIRCFLOW_FORM_BYTES if item.bytes_len == 0 => Ok(Item::Bytes(&[])),
        CIRCFLOW_FORM_BYTES if item.bytes.is_null() => Err(CIRCFLOW_ERR_NULL),
        // Longer than any queue takes: do not look at them.
        CIRCFLOW_FORM_BYTES if item.bytes_len > limits::QUEUE_ITEM_MAX => Err(CIRCFLOW_ERR_INVALID),
        // SAFETY: so many bytes are there, by the contract of the floor.
        CIRCFLOW_FORM_BYTES => {
            Ok(Item::Bytes(unsafe { std::slice::from_raw_parts(item.bytes, item.bytes_len as usize) }))
        }
        _ => Err(CIRCFLOW_ERR_INVALID),
    }
}

fn lend(item: Item) -> circflow_queue_item {
    match item {
        Item::Token(token) => {
            circflow_queue_item { token, bytes: std::ptr::null(), bytes_len: 0, form: CIRCFLOW_FORM_TOKEN }
        }
        Item::Bytes(bytes) => circflow_queue_item {
            token: 0,
            bytes: bytes.as_ptr(),
            bytes_len: bytes.len() as u32,
            form: CIRCFLOW_FORM_BYTES,
        },
    }
}

/// The host's sink, for the length of one call.
struct Host {
    try_send: unsafe extern "C-unwind" fn(*mut c_void, *const circflow_queue_item) -> i32,
    is_closed: unsafe extern "C-unwind" fn(*mut c_void) -> i32,
    userdata: *mut c_void,
}

impl Host {
    unsafe fn new(sink: *const circflow_queue_sink) -> Result<Host, circflow_status> {
        // SAFETY: NULL or one valid sink, by the contract of the floor.
        let sink = unsafe { sink.as_ref() }.ok_or(CIRCFLOW_ERR_NULL)?;
        match (sink.try_send, sink.is_closed) {
            (Some(try_send), Some(is_closed)) => Ok(Host { try_send, is_closed, userdata: sink.userdata }),
            _ => Err(CIRCFLOW_ERR_NULL),
        }
    }

    /// Offers an item; open means that it is taken.
    fn try_send(&self, item: &circflow_queue_item) -> Result<Room, circflow_status> {
        // SAFETY: the host's own function, called with the host's own userdata.
        match unsafe { (self.try_send)(self.userdata, item) } {
            CIRCFLOW_SINK_TAKEN => Ok(Room::Open),
            CIRCFLOW_SINK_FULL => Ok(Room::Full),
            CIRCFLOW_SINK_CLOSED => Ok(Room::Closed),
            _ => Err(CIRCFLOW_ERR_INVALID),
        }
    }

    fn is_closed(&self) -> bool {
        // SAFETY: the host's own function, called with the host's own userdata.
        unsafe { (self.is_closed)(self.userdata) != 0 }
    }
}

/// Panics inside the queue, so that the tests can see what a bug would do.
///
/// cbindgen:ignore
#[cfg(feature = "test-hooks")]
#[no_mangle]
pub unsafe extern "C-unwind" fn circflow_test_queue_panic(queue: *mut circflow_queue) -> circflow_status {
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe { door::enter(queue, |_| panic!("a panic on purpose")) }
}
