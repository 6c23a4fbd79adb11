//! Any text: no panic, and what comes out is JSON, the same strictly where nothing is strange.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wheeltap_butane::{Options, transpile};

fuzz_target!(|text: &[u8]| {
    let strict = transpile(text, Options { strict: true, ..Options::default() });
    match transpile(text, Options::default()) {
        Ok(done) => {
            serde_json::from_str::<serde_json::Value>(&done.json).expect("it is JSON");
            assert_eq!(strict.is_ok(), done.warnings.is_empty());
        }
        Err(refused) => {
            assert!(!refused.diagnostics.is_empty());
            assert!(strict.is_err());
        }
    }
});
