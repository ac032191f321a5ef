//! The tournament as it was played: teams, matches, goals and the events whose markets trade, from the tables in
//! `worldcup/` (compiled in). Facts only; what follows from them is computed in [`crate::table`] and [`crate::bracket`].

use std::sync::LazyLock;

use serde::Deserialize;
use xos_types::EventId;

/// Groups of the tournament.
pub const GROUPS: usize = 12;
/// Teams of a group.
pub const GROUP_TEAMS: usize = 4;
/// Teams of the tournament.
pub const TEAMS: usize = GROUPS * GROUP_TEAMS;
/// Matches of the group stage: numbers 1 to 72.
pub const GROUP_MATCHES: usize = 72;
/// Matches of the tournament.
pub const MATCHES: usize = 104;
/// Events whose markets trade.
pub const EVENTS: usize = 1 + GROUPS + MATCHES + (MATCHES - GROUP_MATCHES);

/// A team: its place in `teams.tsv`, which is group by group in the order of the draw.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Team(pub u8);

impl Team {
    /// The team at a place of a group, both from 0.
    #[must_use]
    pub fn new(group: usize, place: usize) -> Self {
        assert!(group < GROUPS && place < GROUP_TEAMS, "no place {place} in group {group}");
        Self(small(group * GROUP_TEAMS + place))
    }

    /// Its place among all teams, from 0; also its outcome in the champion event.
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }

    /// Its group, from 0.
    #[must_use]
    pub fn group(self) -> usize {
        self.index() / GROUP_TEAMS
    }

    /// Its place in the draw of its group, from 0; also its outcome in the group winner's event.
    #[must_use]
    pub fn place(self) -> usize {
        self.index() % GROUP_TEAMS
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        &facts().teams[self.index()].name
    }

    /// FIFA's three letters.
    #[must_use]
    pub fn code(self) -> &'static str {
        &facts().teams[self.index()].code
    }

    /// Every team.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..TEAMS).map(|index| Self(small(index)))
    }
}

/// A match by FIFA's number, 1 to 104.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MatchId(pub u8);

impl MatchId {
    /// Its place in the list of matches, from 0.
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0) - 1
    }

    /// Every match, in order.
    pub fn all() -> impl Iterator<Item = Self> {
        (1..=MATCHES).map(|number| Self(small(number)))
    }

    /// The match as it was played.
    #[must_use]
    pub fn facts(self) -> &'static Match {
        &facts().matches[self.index()]
    }

    /// Whether its loser is out (or third place is at stake): it has a market on who wins in the end.
    #[must_use]
    pub fn is_knockout(self) -> bool {
        usize::from(self.0) > GROUP_MATCHES
    }
}

/// A round of the tournament.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// Everyone in a group meets.
    Group,
    /// 16 matches.
    RoundOf32,
    /// 8 matches.
    RoundOf16,
    /// 4 matches.
    QuarterFinal,
    /// 2 matches.
    SemiFinal,
    /// The losers of the semi-finals.
    ThirdPlace,
    /// The winners of the semi-finals.
    Final,
}

impl Stage {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "Group" => Self::Group,
            "Round of 32" => Self::RoundOf32,
            "Round of 16" => Self::RoundOf16,
            "Quarter-final" => Self::QuarterFinal,
            "Semi-final" => Self::SemiFinal,
            "Third place" => Self::ThirdPlace,
            "Final" => Self::Final,
            _ => return None,
        })
    }

    /// Its name, short enough for a table.
    #[must_use]
    pub const fn short(self) -> &'static str {
        match self {
            Self::Group => "group",
            Self::RoundOf32 => "R32",
            Self::RoundOf16 => "R16",
            Self::QuarterFinal => "QF",
            Self::SemiFinal => "SF",
            Self::ThirdPlace => "3rd",
            Self::Final => "FINAL",
        }
    }
}

/// First or second team of a match.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum End {
    /// The team named first.
    First = 0,
    /// The team named second.
    Second = 1,
}

/// Goals of the first and of the second team.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Score(pub u8, pub u8);

impl Score {
    /// With one goal more.
    #[must_use]
    pub const fn plus(self, end: End) -> Self {
        match end {
            End::First => Self(self.0 + 1, self.1),
            End::Second => Self(self.0, self.1 + 1),
        }
    }

    /// Who is ahead.
    #[must_use]
    pub const fn leader(self) -> Option<End> {
        if self.0 > self.1 {
            Some(End::First)
        } else if self.1 > self.0 {
            Some(End::Second)
        } else {
            None
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let (first, second) = text.split_once('-')?;
        Some(Self(first.parse().ok()?, second.parse().ok()?))
    }
}

impl core::fmt::Display for Score {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}-{}", self.0, self.1)
    }
}

/// A minute as football counts: 90+4 is the fourth minute of the time added to the second half.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Minute {
    /// 1 to 120.
    pub regular: u8,
    /// Minutes into added time; 0 outside it.
    pub added: u8,
}

impl core::fmt::Display for Minute {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self.added {
            0 => write!(f, "{}'", self.regular),
            added => write!(f, "{}+{added}'", self.regular),
        }
    }
}

/// A goal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Goal {
    /// When.
    pub minute: Minute,
    /// Which team it counted for.
    pub end: End,
}

impl Goal {
    fn parse(text: &str) -> Option<Self> {
        let (minute, end) = match text.split_at_checked(text.len().checked_sub(1)?)? {
            (minute, "h") => (minute, End::First),
            (minute, "a") => (minute, End::Second),
            _ => return None,
        };
        let (regular, added) = minute.split_once('+').unwrap_or((minute, "0"));
        Some(Self { minute: Minute { regular: regular.parse().ok()?, added: added.parse().ok()? }, end })
    }
}

/// One match.
#[derive(Clone, Debug)]
pub struct Match {
    /// Its number.
    pub id: MatchId,
    /// When it began, in minutes since the beginning of June 2026, UTC.
    pub kickoff: i64,
    /// Its round.
    pub stage: Stage,
    /// Its group, from 0, in the group stage.
    pub group: Option<usize>,
    /// Country that it was played in, ISO's two letters: where a host is at home.
    pub country: String,
    /// Who played.
    pub teams: [Team; 2],
    /// Score at half-time.
    pub half_time: Score,
    /// Score after 90 minutes and their added time.
    pub after_90: Score,
    /// Score after extra time, if there was any.
    pub after_extra: Option<Score>,
    /// Score of the penalty shoot-out, if there was one.
    pub penalties: Option<Score>,
    /// Goals in order, shoot-outs excluded.
    pub goals: Vec<Goal>,
}

impl Match {
    /// Who won in the end; nobody may in the group stage.
    #[must_use]
    pub fn winner(&self) -> Option<End> {
        self.penalties.or(self.after_extra).unwrap_or(self.after_90).leader()
    }

    /// The score when the last goal was scored, shoot-outs excluded.
    #[must_use]
    pub fn final_score(&self) -> Score {
        self.after_extra.unwrap_or(self.after_90)
    }
}

/// A team as listed.
#[derive(Clone, Debug)]
pub struct TeamFacts {
    /// Its name.
    pub name: String,
    /// FIFA's three letters.
    pub code: String,
}

/// An event as opened on chain.
#[derive(Clone, Debug, Deserialize)]
pub struct EventFacts {
    /// What it asks.
    pub title: String,
    /// What its outcomes are called.
    pub labels: Vec<String>,
}

/// What an event is about, and so which result decides it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// Who becomes champion: an outcome for each team.
    Champion,
    /// Who wins a group (from 0): an outcome for each of its teams.
    GroupWinner(usize),
    /// First team, draw or second team when 90 minutes are over.
    After90(MatchId),
    /// First or second team in the end, however long it takes.
    Decided(MatchId),
}

impl Subject {
    /// What an event is about, by its number on chain: they are opened in the order of `events.json`.
    #[must_use]
    pub fn of(event: EventId) -> Option<Self> {
        let index = usize::try_from(event.0).ok()?.checked_sub(1)?;
        Some(match index {
            0 => Self::Champion,
            1..=GROUPS => Self::GroupWinner(index - 1),
            _ if index <= GROUPS + MATCHES => Self::After90(MatchId(small(index - GROUPS))),
            _ if index < EVENTS => Self::Decided(MatchId(small(index - GROUPS - MATCHES + GROUP_MATCHES))),
            _ => return None,
        })
    }

    /// The event's number on chain.
    #[must_use]
    pub fn event(self) -> EventId {
        let index = match self {
            Self::Champion => 0,
            Self::GroupWinner(group) => 1 + group,
            Self::After90(id) => 1 + GROUPS + id.index(),
            Self::Decided(id) => 1 + GROUPS + MATCHES + id.index() - GROUP_MATCHES,
        };
        EventId(u32::from(small(index)) + 1)
    }

    /// Number of its outcomes.
    #[must_use]
    pub const fn outcomes(self) -> usize {
        match self {
            Self::Champion => TEAMS,
            Self::GroupWinner(_) => GROUP_TEAMS,
            Self::After90(_) => 3,
            Self::Decided(_) => 2,
        }
    }

    /// Every event, in order.
    pub fn all() -> impl Iterator<Item = Self> {
        (1..=EVENTS).filter_map(|number| Self::of(EventId(small(number).into())))
    }
}

/// Everything that is known, once the tournament is over.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The teams; [`Team`] is the index.
    pub teams: Vec<TeamFacts>,
    /// The matches; [`MatchId`] less one is the index.
    pub matches: Vec<Match>,
    /// The events, in the order in which they are opened.
    pub events: Vec<EventFacts>,
}

/// The facts that are compiled in.
#[must_use]
pub fn facts() -> &'static Facts {
    static FACTS: LazyLock<Facts> = LazyLock::new(|| {
        Facts::parse(
            include_str!("../../../worldcup/teams.tsv"),
            include_str!("../../../worldcup/matches.tsv"),
            include_str!("../../../worldcup/events.json"),
        )
        .expect("the tables are compiled in and a test reads them")
    });
    &FACTS
}

impl Facts {
    fn parse(teams: &str, matches: &str, events: &str) -> Result<Self, String> {
        let teams: Vec<TeamFacts> = rows(teams)
            .map(|row| match row.as_slice() {
                [name, code, ..] => Ok(TeamFacts { name: (*name).into(), code: (*code).into() }),
                _ => Err(format!("teams.tsv: {row:?}")),
            })
            .collect::<Result<_, _>>()?;
        let matches: Vec<Match> = rows(matches)
            .map(|row| parse_match(&row, &teams).ok_or_else(|| format!("matches.tsv: {row:?}")))
            .collect::<Result<_, _>>()?;

        #[derive(Deserialize)]
        struct File {
            events: Vec<EventFacts>,
        }
        let events = serde_json::from_str::<File>(events).map_err(|error| format!("events.json: {error}"))?.events;

        if (teams.len(), matches.len(), events.len()) != (TEAMS, MATCHES, EVENTS) {
            return Err(format!("{} teams, {} matches, {} events", teams.len(), matches.len(), events.len()));
        }
        Ok(Self { teams, matches, events })
    }
}

fn parse_match(row: &[&str], teams: &[TeamFacts]) -> Option<Match> {
    let &[number, kickoff, stage, group, country, first, second, half_time, after_90, after_extra, penalties, goals] =
        row
    else {
        return None;
    };
    let team = |name: &str| teams.iter().position(|team| team.name == name).map(|index| Team(small(index)));
    let optional = |text: &str| if text.is_empty() { Some(None) } else { Score::parse(text).map(Some) };
    Some(Match {
        id: MatchId(number.parse().ok()?),
        kickoff: minutes_since_june(kickoff)?,
        stage: Stage::parse(stage)?,
        group: group.bytes().next().map(|letter| usize::from(letter - b'A')),
        country: country.into(),
        teams: [team(first)?, team(second)?],
        half_time: Score::parse(half_time)?,
        after_90: Score::parse(after_90)?,
        after_extra: optional(after_extra)?,
        penalties: optional(penalties)?,
        goals: goals.split_whitespace().map(Goal::parse).collect::<Option<_>>()?,
    })
}

/// Rows of a tab-separated table, without its heading.
pub(crate) fn rows(table: &str) -> impl Iterator<Item = Vec<&str>> {
    table.lines().skip(1).map(|line| line.split('\t').collect())
}

/// `2026-06-11T19:00Z`: the tournament lies in June and July, so no calendar is needed.
fn minutes_since_june(text: &str) -> Option<i64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let day: i64 = match date.split_at_checked(8)? {
        ("2026-06-", day) => day.parse().ok()?,
        ("2026-07-", day) => day.parse::<i64>().ok()? + 30,
        _ => return None,
    };
    let (hour, minute) = time.split_once(':')?;
    Some((day - 1) * 1440 + hour.parse::<i64>().ok()? * 60 + minute.parse::<i64>().ok()?)
}

/// Minutes since the beginning of June as people read them: `19 Jul 19:00`.
#[must_use]
pub fn date(minutes: i64) -> String {
    let day = minutes.div_euclid(1440) + 1;
    let of_day = minutes.rem_euclid(1440);
    let (day, month) = if day > 30 { (day - 30, "Jul") } else { (day, "Jun") };
    format!("{day:>2} {month} {:02}:{:02}", of_day / 60, of_day % 60)
}

/// Teams, matches and events are few: their numbers fit a byte.
pub(crate) fn small(number: usize) -> u8 {
    u8::try_from(number).expect("teams, matches and events are at most 149")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_known_answers_hold() {
        let matches = &facts().matches;
        assert_eq!(matches.len(), 104);
        assert_eq!(matches.iter().map(|m| m.goals.len()).sum::<usize>(), 308);
        assert_eq!(matches.iter().filter(|m| m.after_extra.is_some()).count(), 9);
        assert_eq!(matches.iter().filter(|m| m.penalties.is_some()).count(), 4);
        let last = &matches[103];
        assert_eq!(last.stage, Stage::Final);
        assert_eq!(last.after_90, Score(0, 0));
        assert_eq!(last.winner().map(|end| last.teams[end as usize].name()), Some("Spain"));
        assert_eq!(date(last.kickoff), "19 Jul 19:00");
    }

    #[test]
    fn goals_add_up_to_every_score() {
        for m in &facts().matches {
            let until = |last: u8| {
                m.goals.iter().filter(|g| g.minute.regular <= last).fold(Score::default(), |s, g| s.plus(g.end))
            };
            assert_eq!(until(90), m.after_90, "match {}", m.id.0);
            assert_eq!(until(120), m.final_score(), "match {}", m.id.0);
            assert!(m.goals.is_sorted_by_key(|g| g.minute), "match {}", m.id.0);
            // The source gives Mexico v Ecuador as 1-0 at half-time and its second goal at 45+1. Nothing depends on it.
            assert_eq!(until(45) == m.half_time, m.id != MatchId(79), "match {}", m.id.0);
            assert!(!m.id.is_knockout() || m.winner().is_some(), "match {} has no winner", m.id.0);
        }
    }

    #[test]
    fn matches_are_numbered_in_order_and_each_group_meets_once() {
        let group_stage = &facts().matches[..GROUP_MATCHES];
        assert!(group_stage.is_sorted_by_key(|m| m.kickoff));
        for (index, m) in facts().matches.iter().enumerate() {
            assert_eq!(m.id.index(), index);
            assert_eq!(m.id.is_knockout(), m.group.is_none());
        }
        for group in 0..GROUPS {
            let mut pairs: Vec<_> = group_stage.iter().filter(|m| m.group == Some(group)).map(|m| m.teams).collect();
            pairs.iter_mut().for_each(|pair| pair.sort());
            pairs.sort();
            pairs.dedup();
            assert_eq!(pairs.len(), 6);
            assert!(pairs.iter().flatten().all(|team| team.group() == group));
        }
    }

    #[test]
    fn an_event_number_says_what_the_event_is_about() {
        for (index, (subject, event)) in Subject::all().zip(&facts().events).enumerate() {
            assert_eq!(subject.event().0 as usize, index + 1);
            assert_eq!(Subject::of(subject.event()), Some(subject));
            assert_eq!(subject.outcomes(), event.labels.len(), "{}", event.title);
            match subject {
                Subject::Champion => assert!(Team::all().map(Team::name).eq(event.labels.iter().map(String::as_str))),
                Subject::GroupWinner(group) => {
                    let names = (0..GROUP_TEAMS).map(|place| Team::new(group, place).name());
                    assert!(names.eq(event.labels.iter().map(String::as_str)), "{}", event.title);
                }
                Subject::After90(id) => {
                    assert!(event.title.starts_with(&format!("Match {}: ", id.0)), "{}", event.title);
                    if !id.is_knockout() {
                        assert_eq!(event.labels[0], id.facts().teams[0].name());
                        assert_eq!(event.labels[2], id.facts().teams[1].name());
                    }
                }
                Subject::Decided(id) => match id.0 {
                    103 => assert_eq!(event.title, "Third place: to win"),
                    104 => assert_eq!(event.title, "Final: to win"),
                    number => assert!(event.title.starts_with(&format!("Match {number}: ")), "{}", event.title),
                },
            }
        }
        assert_eq!(Subject::all().count(), EVENTS);
        assert_eq!(Subject::of(EventId(0)), None);
        assert_eq!(Subject::of(EventId(150)), None);
    }
}
