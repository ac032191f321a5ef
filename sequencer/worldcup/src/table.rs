//! Group tables. Article 13 of the 2026 regulations: points; then, among the teams level on points, the matches between
//! them (points, goal difference, goals); then all matches (goal difference, goals). Conduct points and the FIFA ranking
//! would follow; this model has neither and uses its own rating instead.

use crate::facts::{GROUP_TEAMS, Score};

/// Matches of a group.
pub const GROUP_PAIRS: usize = 6;

/// A result between two places of a group.
#[derive(Clone, Copy, Debug, Default)]
pub struct Result {
    /// The two places, from 0.
    pub places: [u8; 2],
    /// Their goals.
    pub score: Score,
}

/// What a team has won, in the order in which it counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Record {
    /// Three for a win, one for a draw.
    pub points: u8,
    /// Goals scored less goals conceded.
    pub difference: i16,
    /// Goals scored.
    pub goals: u16,
}

impl Record {
    fn add(&mut self, scored: u8, conceded: u8) {
        self.points += match scored.cmp(&conceded) {
            core::cmp::Ordering::Greater => 3,
            core::cmp::Ordering::Equal => 1,
            core::cmp::Ordering::Less => 0,
        };
        self.difference += i16::from(scored) - i16::from(conceded);
        self.goals += u16::from(scored);
    }
}

/// Records over the results between the places in `among` (a bit each).
fn records(results: &[Result], among: u8) -> [Record; GROUP_TEAMS] {
    let mut records = [Record::default(); GROUP_TEAMS];
    for Result { places: [first, second], score } in results {
        if among >> first & among >> second & 1 == 1 {
            records[usize::from(*first)].add(score.0, score.1);
            records[usize::from(*second)].add(score.1, score.0);
        }
    }
    records
}

/// The places of a group, best first, and what each has won.
#[must_use]
pub fn rank(results: &[Result], ratings: &[f64; GROUP_TEAMS]) -> ([u8; GROUP_TEAMS], [Record; GROUP_TEAMS]) {
    let overall = records(results, 0b1111);
    let mut order = [0, 1, 2, 3];
    order.sort_by_key(|&place| core::cmp::Reverse(overall[usize::from(place)].points));
    for tied in order.chunk_by_mut(|&a, &b| overall[usize::from(a)].points == overall[usize::from(b)].points) {
        if tied.len() > 1 {
            break_tie(tied, results, &overall, ratings);
        }
    }
    (order, overall)
}

fn break_tie(tied: &mut [u8], results: &[Result], overall: &[Record; GROUP_TEAMS], ratings: &[f64; GROUP_TEAMS]) {
    let among = tied.iter().fold(0, |set, place| set | 1 << place);
    let between = records(results, among);
    let record = |place: u8| between[usize::from(place)];
    tied.sort_by_key(|&place| core::cmp::Reverse(record(place)));
    if tied.iter().all(|&place| record(place) == record(tied[0])) {
        // The matches between them say nothing (more): all matches do.
        tied.sort_by(|&a, &b| {
            let [a, b] = [a, b].map(usize::from);
            let key = |place: usize| (overall[place].difference, overall[place].goals);
            key(b).cmp(&key(a)).then(ratings[b].total_cmp(&ratings[a]))
        });
        return;
    }
    // Those who are still level are compared again, by the matches between them alone.
    for level in tied.chunk_by_mut(|&a, &b| record(a) == record(b)) {
        if level.len() > 1 {
            break_tie(level, results, overall, ratings);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn results(list: [(u8, u8, u8, u8); GROUP_PAIRS]) -> [Result; GROUP_PAIRS] {
        list.map(|(first, second, a, b)| Result { places: [first, second], score: Score(a, b) })
    }

    #[test]
    fn points_come_first() {
        let (order, records) = rank(
            &results([(0, 1, 1, 0), (2, 3, 5, 0), (0, 2, 1, 0), (1, 3, 2, 0), (0, 3, 1, 0), (1, 2, 1, 0)]),
            &[0.; 4],
        );
        assert_eq!(order, [0, 1, 2, 3]);
        assert_eq!(records[0], Record { points: 9, difference: 3, goals: 3 });
    }

    #[test]
    fn the_match_between_two_counts_before_goal_difference() {
        // 0 and 1 have six points each; 1 has the better difference, 0 beat 1.
        let (order, _) = rank(
            &results([(0, 1, 1, 0), (2, 3, 0, 0), (0, 2, 1, 0), (1, 3, 9, 0), (0, 3, 0, 1), (1, 2, 3, 0)]),
            &[0.; 4],
        );
        assert_eq!(order[..2], [0, 1]);
    }

    #[test]
    fn a_circle_of_three_is_decided_by_all_matches() {
        // 0, 1 and 2 beat each other 1-0 in a circle; against 3 they won by 1, 2 and 3 goals.
        let (order, _) = rank(
            &results([(0, 1, 1, 0), (1, 2, 1, 0), (2, 0, 1, 0), (0, 3, 1, 0), (1, 3, 2, 0), (2, 3, 3, 0)]),
            &[0.; 4],
        );
        assert_eq!(order, [2, 1, 0, 3]);
    }

    #[test]
    fn teams_still_level_are_compared_by_the_matches_between_them_alone() {
        // 0, 1, 2 draw with 3; among the three, 0 wins by most; 1 and 2 are level but for their own match, which 2 won
        // while 1's goals elsewhere weigh more overall.
        let (order, _) = rank(
            &results([(0, 1, 2, 1), (0, 2, 0, 1), (1, 2, 2, 1), (0, 3, 9, 0), (1, 3, 3, 0), (2, 3, 1, 0)]),
            &[0.; 4],
        );
        // Among the three: everyone has three points and a difference of 0; goals 2, 3, 2. So 1 leads, and 0 and 2 are
        // compared by their own match alone, which 2 won, although 0 has the far better difference over all.
        assert_eq!(order, [1, 2, 0, 3]);
    }

    #[test]
    fn the_rating_speaks_last() {
        let (order, _) = rank(
            &results([(0, 1, 0, 0), (2, 3, 0, 0), (0, 2, 0, 0), (1, 3, 0, 0), (0, 3, 0, 0), (1, 2, 0, 0)]),
            &[1., 4., 3., 2.],
        );
        assert_eq!(order, [1, 2, 3, 0]);
    }
}
