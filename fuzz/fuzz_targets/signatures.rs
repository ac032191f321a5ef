#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| (xos_hostile::decoder("signatures").holds)(bytes));
