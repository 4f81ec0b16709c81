//! A second Rust library in one program with circflow. It has Rust's standard library in it, too, and a panic of its own.

use std::cell::RefCell;
use std::collections::HashMap;
use std::panic::{self, AssertUnwindSafe};

thread_local! {
    static SEEN: RefCell<HashMap<i32, String>> = RefCell::new(HashMap::new());
}

/// Panics, catches that, and answers the number that the panic was about.
#[no_mangle]
pub extern "C" fn second_panics(number: i32) -> i32 {
    let caught = panic::catch_unwind(|| {
        SEEN.with(|seen| seen.borrow_mut().insert(number, format!("{number}")));
        panic!("{number}");
    });
    let words = caught.expect_err("it has panicked").downcast::<String>().expect("its words");
    let seen = SEEN.with(|seen| seen.borrow().get(&number).cloned());
    if seen.as_ref() == Some(&*words) { words.parse().unwrap_or(-1) } else { -1 }
}

/// Calls what may throw: an exception of C++ passes through.
#[no_mangle]
pub extern "C-unwind" fn second_calls(call: extern "C-unwind" fn()) {
    let text = AssertUnwindSafe(String::from("is freed when the exception passes"));
    call();
    drop(text);
}
