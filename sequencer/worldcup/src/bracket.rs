//! Who meets whom after the groups: the slots of the knockout matches (`worldcup/bracket.tsv`, fixed before the
//! tournament) and where the eight best third-placed teams may go.

use std::sync::LazyLock;

use crate::facts::{GROUP_MATCHES, GROUPS, MATCHES, MatchId, rows};

/// Knockout matches.
pub const KNOCKOUTS: usize = MATCHES - GROUP_MATCHES;
/// Third-placed teams that go on.
pub const THIRDS: usize = 8;

/// Where a team of a knockout match comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// Winner of a group.
    Winner(usize),
    /// Second of a group.
    RunnerUp(usize),
    /// Third of one of these groups (a bit each): the `n`-th such slot.
    Third {
        /// Counts these slots from 0.
        nth: usize,
        /// The groups that it may come from.
        groups: u16,
    },
    /// Winner of a match.
    WinnerOf(MatchId),
    /// Loser of a match.
    LoserOf(MatchId),
}

/// The slots of matches 73 to 104.
#[must_use]
pub fn bracket() -> &'static [[Slot; 2]; KNOCKOUTS] {
    static BRACKET: LazyLock<[[Slot; 2]; KNOCKOUTS]> = LazyLock::new(|| {
        let mut thirds = 0;
        let pairs: Vec<[Slot; 2]> = rows(include_str!("../../../worldcup/bracket.tsv"))
            .map(|row| {
                [2, 3]
                    .map(|column| parse(row[column], &mut thirds).expect("bracket.tsv is compiled in, a test reads it"))
            })
            .collect();
        pairs.try_into().expect("bracket.tsv lists 32 matches")
    });
    &BRACKET
}

fn parse(text: &str, thirds: &mut usize) -> Option<Slot> {
    let (kind, rest) = text.split_at_checked(1)?;
    let group = |letter: u8| letter.checked_sub(b'A').map(usize::from).filter(|&group| group < GROUPS);
    let only = || group(rest.bytes().next()?);
    Some(match kind {
        "1" => Slot::Winner(only()?),
        "2" => Slot::RunnerUp(only()?),
        "3" => {
            let groups = rest.bytes().try_fold(0_u16, |set, letter| group(letter).map(|group| set | 1 << group))?;
            *thirds += 1;
            Slot::Third { nth: *thirds - 1, groups }
        }
        "W" => Slot::WinnerOf(MatchId(rest.parse().ok()?)),
        "L" => Slot::LoserOf(MatchId(rest.parse().ok()?)),
        _ => return None,
    })
}

/// For each set of eight groups (a bit each) whose thirds go on: which group's third goes to the n-th third slot.
///
/// FIFA's Annex C lists one assignment for each of the 495 sets. Before the groups are over the model takes the first
/// one that the slots allow (who meets whom among near equals hardly moves a price); afterwards the real one is known.
#[must_use]
pub fn thirds(groups: u16) -> Option<[u8; THIRDS]> {
    static ASSIGNMENTS: LazyLock<Vec<Option<[u8; THIRDS]>>> = LazyLock::new(|| {
        let mut allowed = [0; THIRDS];
        for slot in bracket().iter().flatten() {
            if let Slot::Third { nth, groups } = slot {
                allowed[*nth] = *groups;
            }
        }
        (0_u16..1 << GROUPS)
            .map(|set| {
                let mut assignment = [0; THIRDS];
                (set.count_ones() == 8 && assign(&allowed, set, 0, &mut assignment)).then_some(assignment)
            })
            .collect()
    });
    ASSIGNMENTS.get(usize::from(groups)).copied().flatten()
}

fn assign(allowed: &[u16; THIRDS], left: u16, nth: usize, assignment: &mut [u8; THIRDS]) -> bool {
    let Some(groups) = allowed.get(nth) else { return true };
    (0_u8..12).filter(|group| left & groups & (1 << group) != 0).any(|group| {
        assignment[nth] = group;
        assign(allowed, left & !(1 << group), nth + 1, assignment)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{End, GROUP_TEAMS, Team, facts};
    use crate::table::{Record, Result, rank};

    #[test]
    fn every_set_of_eight_thirds_has_an_assignment() {
        let sets: Vec<u16> = (0..1 << GROUPS).filter(|set: &u16| set.count_ones() == 8).collect();
        assert_eq!(sets.len(), 495);
        for set in sets {
            let assignment = thirds(set).unwrap_or_else(|| panic!("no assignment for {set:012b}"));
            assert_eq!(assignment.iter().fold(0, |used, group| used | 1 << group), set);
        }
    }

    /// The tables computed from the results, the bracket and the winners lead to the very matches that were played.
    #[test]
    fn results_lead_through_the_bracket_to_the_matches_that_were_played() {
        let matches = &facts().matches;
        let mut places = [[Team(0); GROUP_TEAMS]; GROUPS];
        let mut third_records: Vec<(Record, usize)> = Vec::new();
        for (group, places) in places.iter_mut().enumerate() {
            let results: Vec<Result> = matches
                .iter()
                .filter(|m| m.group == Some(group))
                .map(|m| Result { places: m.teams.map(|team| crate::facts::small(team.place())), score: m.after_90 })
                .collect();
            let (order, records) = rank(&results, &[0.; GROUP_TEAMS]);
            *places = order.map(|place| Team::new(group, place.into()));
            third_records.push((records[usize::from(order[2])], group));
        }
        third_records.sort();
        third_records.reverse();
        assert!(third_records[7].0 > third_records[8].0, "the eighth third needs no further tie-break");
        let best: u16 = third_records[..THIRDS].iter().fold(0, |set, (_, group)| set | 1 << group);

        let mut seen_thirds = 0;
        for (m, slots) in matches[GROUP_MATCHES..].iter().zip(bracket()) {
            for (team, slot) in m.teams.iter().zip(slots) {
                let of = |id: MatchId, won: bool| {
                    let source = id.facts();
                    let end = source.winner().expect("knockout matches have one");
                    source.teams[if (end == End::First) == won { 0 } else { 1 }]
                };
                let expected = match *slot {
                    Slot::Winner(group) => places[group][0],
                    Slot::RunnerUp(group) => places[group][1],
                    Slot::Third { groups, .. } => {
                        assert!(groups & best & 1 << team.group() != 0, "match {}", m.id.0);
                        seen_thirds |= 1 << team.group();
                        places[team.group()][2]
                    }
                    Slot::WinnerOf(id) => of(id, true),
                    Slot::LoserOf(id) => of(id, false),
                };
                assert_eq!(expected.name(), team.name(), "match {}", m.id.0);
            }
        }
        assert_eq!(seen_thirds, best);
    }
}
