//! How lists grow of which there are many, or one that is large.
//!
//! A vector of its own accord begins with room for four and doubles, which leaves half of the memory idle where most accounts
//! have one entry, or where one list holds everybody.

/// By a half: for lists of which every account has one.
pub(crate) const HALF: usize = 2;
/// By a sixteenth: for a list of everything. Blocks so large grow by moving pages.
pub(crate) const SIXTEENTH: usize = 16;

/// Room for one more: where there is none, for one part in so many more than there are.
#[inline]
pub(crate) fn make_room<T>(list: &mut Vec<T>, part: usize) {
    if list.len() == list.capacity() {
        list.reserve_exact((list.len() / part).max(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_grow_by_a_part_of_themselves() {
        let mut list = Vec::new();
        let mut capacities = vec![];
        for n in 0u64..12 {
            make_room(&mut list, HALF);
            list.push(n);
            capacities.push(list.capacity());
        }
        assert_eq!(capacities, [1, 2, 3, 4, 6, 6, 9, 9, 9, 13, 13, 13]);
    }
}
