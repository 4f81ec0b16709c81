//! Texts of padding machines: loaded if they are good, and then run for a while.

use std::io::Write;
use std::str::FromStr;

use base64::prelude::{Engine as _, BASE64_STANDARD};
use circflow::ffi::*;
use circflow::padding::Machines;
use flate2::write::ZlibEncoder;
use flate2::Compression;

/// Events that a machine that loads has to deal with.
const EVENTS: u8 = 40;

/// The first byte says whether the rest is a text, or what a text unpacks to.
pub fn machines(bytes: &[u8]) {
    let Some((&how, rest)) = bytes.split_first() else { return };
    let text = if how % 4 == 0 { rest.to_vec() } else { pack(rest) };
    let Ok(loaded) = Machines::load(&text) else { return };
    for machine in loaded.as_ref() {
        // What passes here is good for maybenot, too, and says the same when it is written again.
        let written = machine.serialize();
        let again = Machines::load(written.as_bytes()).expect("what was written loads");
        assert_eq!(again.as_ref()[0].serialize(), written);
        assert!(machine.validate().is_ok());
        let _ = maybenot_reads(&written);
    }
    run(&text, how);
}

/// It may refuse what is larger than its buffer, and must not panic.
fn maybenot_reads(text: &str) -> bool {
    maybenot::Machine::from_str(text).is_ok()
}

fn pack(unpacked: &[u8]) -> Vec<u8> {
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
    let packed = zlib.write_all(unpacked).and_then(|()| zlib.finish()).expect("memory does not fail");
    format!("02{}", BASE64_STANDARD.encode(packed)).into_bytes()
}

/// A config with its defaults, by the function that fills it.
macro_rules! filled {
    ($init:expr) => {{
        let mut config = std::mem::MaybeUninit::zeroed();
        must($init(config.as_mut_ptr(), size_of_val(&config)));
        config.assume_init()
    }};
}

/// Runs the machines at a client's circuit, through the C ABI: cells come and go, and time goes on.
fn run(text: &[u8], how: u8) {
    let mut engine = std::ptr::null_mut();
    let mut circuit = circflow_circuit_id { v: 0 };
    let mut list = circflow_machines_id { v: 0 };
    // SAFETY: every pointer is to what the header says, and the engine is used by this thread alone.
    unsafe {
        let mut config = filled!(circflow_engine_config_init);
        config.seed = [how; 32];
        must(circflow_engine_new(&config, &mut engine));
        let mut shape = filled!(circflow_circuit_config_init);
        shape.role = CIRCFLOW_ROLE_CLIENT;
        shape.hops = 3;
        must(circflow_circuit_open(engine, 1, &shape, &mut circuit));
        must(circflow_machines_load(engine, text.as_ptr().cast(), text.len(), &mut list));
        let mut padding = filled!(circflow_padding_config_init);
        padding.machines = list;
        padding.hop = 2;
        must(circflow_padding_install(engine, 1, circuit, &padding));
        let mut now = 1;
        for event in 0..EVENTS {
            match (how ^ event) % 4 {
                0 => must(circflow_circuit_cell_queued(engine, now, circuit, CIRCFLOW_CMD_DATA, 2)),
                1 => must(circflow_circuit_cells_written(engine, now, circuit, 2)),
                2 => now += u64::from(how) << (event % 36),
                _ => now = next(engine, now),
            }
            must(circflow_engine_tick(engine, now));
            drain(engine);
        }
        must(circflow_engine_free(engine, None, std::ptr::null_mut()));
    }
}

/// The next moment at which something is due, or now when nothing is.
///
/// SAFETY: the engine is one, and is used by this thread alone.
unsafe fn next(engine: *mut circflow_engine, now: u64) -> u64 {
    let mut deadline = CIRCFLOW_NEVER;
    must(circflow_engine_get_deadline(engine, &mut deadline));
    if deadline == CIRCFLOW_NEVER {
        now
    } else {
        deadline.max(now)
    }
}

/// Takes what there is, a bounded number: some machines never stop.
///
/// SAFETY: as for [`next`].
unsafe fn drain(engine: *mut circflow_engine) {
    let mut body = [0; CIRCFLOW_CELL_BODY_LEN];
    for _ in 0..300 {
        let mut insn = std::mem::MaybeUninit::<circflow_insn>::zeroed();
        must(circflow_engine_poll(engine, body.as_mut_ptr(), body.len(), insn.as_mut_ptr()));
        if insn.assume_init().kind == 0 {
            break;
        }
    }
}

fn must(status: circflow_status) {
    assert_eq!(status as i32, 0);
}
