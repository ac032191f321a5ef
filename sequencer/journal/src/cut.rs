//! Taking the end of a journal back: what a leader wrote that nobody else got before another one took over. Nobody was told of
//! it, and the group's history has gone another way.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use xos_types::GroupConfig;

use crate::error::JournalError;
use crate::format::HEADER_BYTES;
use crate::scan::{Segment, Tip};
use crate::segment::{list, sync_dir};

/// What is renamed to this is no segment any more.
const SET_ASIDE: &str = "cut";

/// Makes the block that ends at `tip` the last one. Copies of the rest are kept: later segments under another name, the end of this
/// one as `cut-<sequence>-<offset>.bin`. Interrupted anywhere, it leaves a journal that ends somewhere behind `tip`.
pub(crate) fn cut_behind(dir: &Path, group: &GroupConfig, tip: Tip) -> Result<(), JournalError> {
    let mut segments = list(dir)?;
    let later = segments.iter().position(|segment| segment.first > tip.sequence.max(1)).unwrap_or(segments.len());
    for segment in segments.drain(later..).rev() {
        let aside = segment.path.with_extension(SET_ASIDE);
        fs::rename(&segment.path, &aside).map_err(JournalError::io("cannot set aside", &segment.path))?;
        sync_dir(dir).map_err(JournalError::io("cannot sync", dir))?;
    }
    let missing = || JournalError::Missing { path: dir.to_owned() };
    let listed = segments.pop().ok_or_else(missing)?;
    let in_file = |error| JournalError::io("cannot cut the end off", &listed.path)(error);
    let mut segment = Segment::open(&listed.path).map_err(in_file)?;
    let header = segment.header(&listed)?;
    let mut at = Tip { sequence: header.first - 1, hash: header.previous };
    let mut offset = HEADER_BYTES as u64;
    // Where the blocks behind the tip begin.
    let mut behind = Vec::new();
    let mut found = at == tip;
    while let Some(block) = segment.block(offset).map_err(in_file)? {
        if found {
            behind.push((offset, block.head.block_bytes()));
        }
        at = block.tip();
        found |= at == tip;
        offset += block.head.block_bytes();
    }
    if !found || header.config != *group {
        let what = format!("no block that ends with command {} and has the replica's hash is in it", tip.sequence);
        return Err(JournalError::Damaged { path: listed.path, offset, sequence: tip.sequence, what });
    }
    let Some((begin, _)) = behind.first().copied() else { return Ok(()) };
    let cut = || -> io::Result<()> {
        let file = OpenOptions::new().read(true).write(true).open(&listed.path)?;
        let mut bytes = vec![0; usize::try_from(offset - begin).map_err(io::Error::other)?];
        file.read_exact_at(&mut bytes, begin)?;
        let mut kept = File::create(dir.join(format!("cut-{}-{begin}.bin", tip.sequence + 1)))?;
        kept.write_all(&bytes)?;
        kept.sync_all()?;
        sync_dir(dir)?;
        // From the end, so that no hole is ever in the middle.
        for (start, length) in behind.iter().rev() {
            let zeros = vec![0; usize::try_from(*length).map_err(io::Error::other)?];
            file.write_all_at(&zeros, *start)?;
            file.sync_data()?;
        }
        Ok(())
    };
    cut().map_err(in_file)?;
    tracing::warn!(
        path = %listed.path.display(), kept = tip.sequence, blocks = behind.len(),
        "took back the end of the journal, of which nobody was told: another node leads since. A copy is kept"
    );
    Ok(())
}
