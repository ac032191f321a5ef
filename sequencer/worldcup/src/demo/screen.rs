//! What the person at the terminal sees while it runs: steps with their time, then a table that is redrawn in place, or
//! lines that are appended where no terminal listens.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use super::observer::{Seen, Sight};
use crate::clock::Phase;
use crate::facts::{End, MATCHES, MatchId, Subject, Team, date};
use crate::fair::Board;
use crate::tally::Counts;

const BAR: usize = 30;
/// Live matches in the table.
const LIVE_MAX: usize = 6;
/// Favourites in the table.
const FAVOURITES: usize = 5;
/// Between status lines where no terminal listens.
const LINE_EVERY: Duration = Duration::from_millis(1700);

pub(super) struct Screen {
    terminal: bool,
    /// Lines of the table that stand on the terminal.
    drawn: usize,
    shown: Option<Instant>,
    rate: Rate,
    over: Vec<bool>,
}

pub(super) struct Step {
    name: String,
    begun: Instant,
}

/// What the table shows.
pub(super) struct View<'a> {
    pub(super) board: &'a Board,
    pub(super) played: f64,
    pub(super) counts: Counts,
    pub(super) sight: &'a Sight,
    pub(super) killed: u16,
}

/// Orders per second since the last look.
#[derive(Default)]
struct Rate {
    last: Option<(Instant, u64)>,
    per_second: f64,
}

impl Rate {
    fn update(&mut self, count: u64) {
        let now = Instant::now();
        match self.last {
            Some((at, before)) if now - at >= Duration::from_secs(1) => {
                let grown = f64::from(u32::try_from(count - before).unwrap_or(u32::MAX));
                self.per_second = grown / (now - at).as_secs_f64();
                self.last = Some((now, count));
            }
            None => self.last = Some((now, count)),
            Some(_) => {}
        }
    }
}

impl Screen {
    pub(super) fn new() -> Self {
        Self {
            terminal: std::io::stdout().is_terminal(),
            drawn: 0,
            shown: None,
            rate: Rate::default(),
            over: vec![false; MATCHES],
        }
    }

    pub(super) fn step(&self, name: &str) -> Step {
        if self.terminal {
            print!("   {name} …");
            // A terminal that is gone is no reason to stop.
            let _ = std::io::stdout().flush();
        }
        Step { name: name.into(), begun: Instant::now() }
    }

    pub(super) fn done(&self, step: Step, detail: &str) {
        let Step { name, begun } = step;
        let clear = if self.terminal { "\r\x1b[K" } else { "" };
        println!("{clear}✓  {name} ({:.1} s)  {detail}", begun.elapsed().as_secs_f64());
    }

    pub(super) fn kick_off(&self, speed: f64) {
        println!("\n   104 matches, as they were played, at speed {speed}\n");
    }

    /// A line that stays, above the table.
    pub(super) fn line(&mut self, text: &str) {
        self.erase();
        println!("{text}");
    }

    /// The table has seen its last change.
    pub(super) fn settle(&mut self) {
        self.erase();
    }

    fn erase(&mut self) {
        if self.drawn > 0 {
            print!("\x1b[{}A\x1b[J", self.drawn);
            self.drawn = 0;
        }
    }

    pub(super) fn show(&mut self, view: &View<'_>) {
        self.rate.update(view.counts.accepted);
        let seen = view.sight.seen();
        let results = self.results(view.board);
        let status = self.status(view, &seen);
        if self.terminal {
            self.erase();
            for line in results {
                println!("{line}");
            }
            let mut table = vec![String::new()];
            table.extend(status);
            table.extend(view.board.snapshot.live().take(LIVE_MAX).map(|id| match_line(view.board, &seen, id)));
            table.push(favourites(&seen));
            for line in &table {
                // The terminal cuts what is too long for it: a wrapped line would stand twice.
                println!("\x1b[?7l{line}\x1b[?7h");
            }
            self.drawn = table.len();
            let _ = std::io::stdout().flush();
            return;
        }
        for line in results {
            println!("{line}");
        }
        if self.shown.is_none_or(|at| at.elapsed() >= LINE_EVERY) {
            self.shown = Some(Instant::now());
            println!("{}", status.join("  "));
            for id in view.board.snapshot.live().take(LIVE_MAX) {
                println!("{}", match_line(view.board, &seen, id));
            }
            println!("{}", favourites(&seen));
        }
    }

    /// Matches that have ended since the last look.
    fn results(&mut self, board: &Board) -> Vec<String> {
        let mut lines = Vec::new();
        for id in MatchId::all() {
            if !self.over[id.index()] && board.snapshot.moment(id).phase == Phase::Over {
                self.over[id.index()] = true;
                lines.push(result_line(id));
            }
        }
        lines
    }

    fn status(&self, view: &View<'_>, seen: &Seen) -> [String; 2] {
        let settlement = &seen.settlement;
        let behind = settlement.sealed.saturating_sub(settlement.settled);
        let gas = seen.recent_gas_per_fill().map_or_else(|| "-".into(), grouped);
        #[expect(clippy::cast_possible_truncation, reason = "calendar minutes of two months")]
        let minutes = view.board.snapshot.calendar as i64;
        let kills = if view.killed > 0 { format!("  killed {}x", view.killed) } else { String::new() };
        [
            format!("{} {} {:3.0} %{kills}", date(minutes), bar(view.played), view.played * 100.),
            format!(
                "   orders {} ({:.0}/s)  trades {}  fills {}  batches {} ({behind} behind)  gas/fill {gas}",
                grouped(view.counts.accepted),
                self.rate.per_second,
                grouped(view.counts.trades),
                grouped(seen.fills()),
                settlement.settled,
            ),
        ]
    }
}

fn bar(part: f64) -> String {
    (0..BAR).map(|cell| if f64::from(crate::facts::small(cell)) < part * 30. { '█' } else { '░' }).collect()
}

fn teams(id: MatchId) -> [&'static str; 2] {
    id.facts().teams.map(Team::name)
}

fn result_line(id: MatchId) -> String {
    let m = id.facts();
    let [first, second] = teams(id);
    let how = match (m.after_extra, m.penalties) {
        (_, Some(penalties)) => format!(" ({penalties} on penalties)"),
        (Some(_), None) => " after extra time".into(),
        (None, None) => String::new(),
    };
    format!("   {:>3} {:<6} {first} {} {second}{how}", id.0, m.stage.short(), m.final_score())
}

fn match_line(board: &Board, seen: &Seen, id: MatchId) -> String {
    let moment = board.snapshot.moment(id);
    let [first, second] = teams(id);
    let minute = match moment.phase {
        Phase::Break => "break".into(),
        Phase::Shootout => "pens".into(),
        Phase::Ahead | Phase::Half(_) | Phase::Over => moment.minute.to_string(),
    };
    let prices = |subject: Subject| match seen.prices.get(&subject.event()) {
        Some(prices) if board.fair(subject).is_some() => Some(prices.iter().map(|price| percent(*price)).collect()),
        _ => None,
    };
    let mut line =
        format!("   {:<6}{minute:>6}  {:>34}", id.facts().stage.short(), format!("{first} {} {second}", moment.score));
    let after_90: Option<Vec<String>> = prices(Subject::After90(id));
    match after_90.as_deref() {
        Some([home, draw, away]) => line += &format!("   H {home}  D {draw}  A {away}"),
        _ if moment.ninety_over => line += "   90 minutes are over   ",
        _ => line += "   -",
    }
    if id.is_knockout() {
        let decided: Option<Vec<String>> = prices(Subject::Decided(id));
        if let Some([home, away]) = decided.as_deref() {
            line += &format!("   to go on {home} / {away}");
        }
    }
    line
}

fn percent(price: Option<f64>) -> String {
    price.map_or_else(|| "  -  ".into(), |price| format!("{price:.3}"))
}

fn favourites(seen: &Seen) -> String {
    let Some(prices) = seen.champion.last() else { return String::new() };
    let mut teams: Vec<Team> = Team::all().collect();
    teams.sort_by(|a, b| prices[b.index()].total_cmp(&prices[a.index()]));
    let list: Vec<String> =
        teams[..FAVOURITES].iter().map(|team| format!("{} {:.3}", team.name(), prices[team.index()])).collect();
    format!("   champion  {}", list.join("  "))
}

/// 81234 as 81,234.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Who won, for people.
pub(super) fn winner_name(id: MatchId) -> &'static str {
    match id.facts().winner() {
        Some(End::First) => teams(id)[0],
        Some(End::Second) => teams(id)[1],
        None => "nobody",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_and_results_read_like_results() {
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(result_line(MatchId(104)).trim(), "104 FINAL  Spain 1-0 Argentina after extra time");
        assert!(result_line(MatchId(96)).ends_with("Switzerland 0-0 Colombia (4-3 on penalties)"));
        assert_eq!(winner_name(MatchId(96)), "Switzerland");
        assert_eq!(bar(0.5).chars().filter(|&cell| cell == '█').count(), 15);
    }
}
