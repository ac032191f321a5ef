//! Writes every decoder's real messages into a folder of its name, for `make fuzz`.
#![allow(clippy::unwrap_used, reason = "a panic says what is wrong")]

use std::path::PathBuf;

fn main() {
    let root = PathBuf::from(std::env::args().nth(1).expect("a folder"));
    for decoder in xos_hostile::DECODERS {
        let folder = root.join(decoder.name);
        std::fs::create_dir_all(&folder).unwrap();
        for (number, seed) in (decoder.seeds)().into_iter().enumerate() {
            std::fs::write(folder.join(format!("seed-{number}")), seed).unwrap();
        }
        println!("{}", decoder.name);
    }
}
