//! An account's margins, by event.

use std::collections::BTreeMap;

use xos_types::EventId;

use crate::margin::EventMargin;
use crate::room::{SIXTEENTH, make_room};

/// Entries of a list; what has more is a tree.
const FEW: usize = 16;

/// Margins by event, ascending. Most accounts trade few events, and keep them in a list: a tree's first node takes a kilobyte
/// and a look elsewhere. Beyond [`FEW`] it is a tree, so that no number of events makes one dear.
#[derive(Debug)]
pub(crate) enum Margins {
    Few(Vec<(EventId, EventMargin)>),
    Many(BTreeMap<EventId, EventMargin>),
}

impl Default for Margins {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

impl Margins {
    #[inline]
    pub(crate) fn get(&self, event: &EventId) -> Option<&EventMargin> {
        match self {
            Self::Few(list) => place_of(list, *event).ok().map(|place| &list[place].1),
            Self::Many(tree) => tree.get(event),
        }
    }

    pub(crate) fn contains_key(&self, event: &EventId) -> bool {
        self.get(event).is_some()
    }

    /// The entry of an event, made if there is none.
    #[inline]
    pub(crate) fn get_or_insert_with(&mut self, event: EventId, new: impl FnOnce() -> EventMargin) -> &mut EventMargin {
        if let Self::Few(list) = self
            && list.len() == FEW
            && place_of(list, event).is_err()
        {
            *self = Self::Many(std::mem::take(list).into_iter().collect());
        }
        match self {
            Self::Few(list) => {
                let place = place_of(list, event).unwrap_or_else(|place| {
                    make_room(list, SIXTEENTH);
                    list.insert(place, (event, new()));
                    place
                });
                &mut list[place].1
            }
            Self::Many(tree) => tree.entry(event).or_insert_with(new),
        }
    }

    pub(crate) fn remove(&mut self, event: &EventId) -> Option<EventMargin> {
        match self {
            Self::Few(list) => place_of(list, *event).ok().map(|place| list.remove(place).1),
            Self::Many(tree) => {
                let removed = tree.remove(event);
                if tree.is_empty() {
                    *self = Self::default();
                }
                removed
            }
        }
    }

    /// All, by event.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&EventId, &EventMargin)> {
        let (few, many) = match self {
            Self::Few(list) => (Some(list), None),
            Self::Many(tree) => (None, Some(tree)),
        };
        few.into_iter().flatten().map(|(event, margin)| (event, margin)).chain(many.into_iter().flatten())
    }

    /// All, by event, to be changed.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (&EventId, &mut EventMargin)> {
        let (few, many) = match self {
            Self::Few(list) => (Some(list), None),
            Self::Many(tree) => (None, Some(tree)),
        };
        few.into_iter().flatten().map(|(event, margin)| (&*event, margin)).chain(many.into_iter().flatten())
    }
}

/// Where an event is in the list, or where it would be.
#[inline]
fn place_of(list: &[(EventId, EventMargin)], event: EventId) -> Result<usize, usize> {
    list.binary_search_by_key(&event, |(event, _)| *event)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use xos_types::{Address, EventConfig, TradingTerms, VenueId};

    use super::*;
    use crate::terms::Terms;

    proptest! {
        #[test]
        fn they_are_an_ordered_map(steps in prop::collection::vec((0u32..40, any::<bool>()), 0..200)) {
            let terms = Terms::event(&EventConfig {
                terms: TradingTerms::free(VenueId(1), 3),
                outcomes: 2,
                ticks: 10,
                resolver: Address::ZERO,
                title: String::new(),
                labels: Vec::new(),
            });
            let (mut margins, mut map) = (Margins::default(), BTreeMap::new());
            for (event, insert) in steps {
                let event = EventId(event);
                if insert {
                    prop_assert_eq!(
                        margins.get_or_insert_with(event, || EventMargin::new(&terms)),
                        map.entry(event).or_insert_with(|| EventMargin::new(&terms))
                    );
                } else {
                    prop_assert_eq!(margins.remove(&event), map.remove(&event));
                }
                prop_assert!(margins.iter().eq(map.iter()));
                prop_assert!(margins.iter_mut().eq(map.iter_mut()));
                prop_assert_eq!(margins.get(&event), map.get(&event));
                prop_assert_eq!(margins.contains_key(&event), map.contains_key(&event));
            }
        }
    }
}
