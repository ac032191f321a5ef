//! What was paid in less what was taken out, not below 0: all that may leave while the insurance fund is negative.

use serde::{Deserialize, Serialize};
use xos_types::FeedId;

use crate::room::{SIXTEENTH, make_room};

/// By asset, ascending; 0 is the settlement token. Most accounts pay in one, and a tree's first node would take 200 bytes.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Principal(Vec<(FeedId, u128)>);

impl Principal {
    pub(crate) fn of(&self, asset: FeedId) -> u128 {
        self.place_of(asset).map_or(0, |place| self.0[place].1)
    }

    /// The entry of an asset, made if there is none.
    pub(crate) fn of_mut(&mut self, asset: FeedId) -> &mut u128 {
        let place = self.place_of(asset).unwrap_or_else(|place| {
            make_room(&mut self.0, SIXTEENTH);
            self.0.insert(place, (asset, 0));
            place
        });
        &mut self.0[place].1
    }

    fn place_of(&self, asset: FeedId) -> Result<usize, usize> {
        self.0.binary_search_by_key(&asset, |(asset, _)| *asset)
    }
}
