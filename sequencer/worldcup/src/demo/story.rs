//! The summary that a person reads: who was thought to win and when that changed, what moved, who made money.

use xos_api::people::tokens;

use super::observer::Swing;
use super::reckoning::{Reckoning, Result};
use super::screen::{grouped, winner_name};
use super::{Played, Summary};
use crate::facts::{MatchId, Subject, Team, facts};
use crate::trader::Kind;

const CONTENDERS: usize = 7;
const CHART: usize = 64;
const SWINGS: usize = 8;
const BUSIEST: usize = 6;
const SPARKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

pub(super) fn tell(played: &Played, reckoning: &Reckoning, summary: &Summary) {
    let seen = played.sight.seen().clone();
    let money = |atoms: i128| whole(atoms, reckoning.decimals);
    println!("\n══ World Cup 2026: {} ══════════════════════════════════════════\n", summary.champion);
    println!("Price of the champion through the tournament (each row to its own highest)");
    for line in chart(&seen.champion) {
        println!("  {line}");
    }

    println!("\nBiggest swings");
    for swing in biggest(&seen.swings) {
        println!("  {}", swing_line(swing));
    }

    println!("\nBusiest events");
    for (event, value) in played.tally.volumes().iter().take(BUSIEST) {
        let title = Subject::of(*event).map_or_else(String::new, title);
        println!("  {:>14}  {title}", money(i128::try_from(*value).unwrap_or(i128::MAX)));
    }
    let total: u128 = played.tally.volumes().iter().map(|(_, value)| value).sum();
    println!("  {:>14}  all events", money(i128::try_from(total).unwrap_or(i128::MAX)));

    println!("\nProfit and loss");
    for kind in [Kind::Maker, Kind::Taker, Kind::Arbitrageur] {
        println!("  {}", kind_line(kind, &reckoning.results, &money));
    }
    println!("  {:<14} {:>14}  (fees, to the venue's treasury)", "treasury", money(reckoning.fees));
    println!("  {:<14} {:>14}  (fees, to protocol and insurance fund)", "shares", money(reckoning.shares));

    let counts = played.tally.counts();
    let rejections: Vec<String> =
        played.tally.rejections().iter().take(4).map(|(why, count)| format!("{why} {}", grouped(*count))).collect();
    println!("\nFigures");
    println!(
        "  orders       {} accepted, {} rejected{}{}, {} cancelled; {:.0} a second",
        grouped(summary.orders_accepted),
        grouped(summary.orders_rejected),
        if rejections.is_empty() { "" } else { ": " },
        rejections.join(", "),
        grouped(counts.cancelled),
        f64::from(u32::try_from(summary.orders_accepted).unwrap_or(u32::MAX)) / played.trading.as_secs_f64(),
    );
    println!(
        "  settlement   {} trades, {} filled orders in {} batches, {} reverted, {} gas a filled order",
        grouped(summary.trades),
        grouped(summary.fills_settled),
        grouped(summary.batches),
        summary.batches_reverted,
        grouped(summary.gas_per_filled_order),
    );
    println!(
        "  latency      p50 {:.1} ms, p99 {:.1} ms from signing to the durable acknowledgement",
        milliseconds(summary.ack_p50_us),
        milliseconds(summary.ack_p99_us),
    );
    println!(
        "  promises     {} receipts checked, {} acknowledged orders looked up, {} lost, node killed {}x",
        grouped(counts.receipts_checked),
        grouped(counts.verified),
        counts.lost,
        summary.node_kills,
    );
    println!(
        "  beside it    {} trades of BTC and ETH perpetuals in the same group, {} of members in a group of their own ({})",
        grouped(summary.perpetual_trades),
        grouped(summary.member_trades),
        played.members.audit,
    );
    println!(
        "  resolution   {} events by claims that anybody could dispute; {} was, and cost its author {} of which the truth got {}",
        summary.events_resolved,
        summary.claims_disputed,
        money(i128::try_from(played.resolution.lost).unwrap_or(i128::MAX)),
        money(i128::try_from(played.resolution.won).unwrap_or(i128::MAX)),
    );
    println!("  the final    {} after 90 minutes, {} in the end", summary.final_after_90, summary.champion);
    println!("  audit        {} in {} s\n", summary.audit, summary.seconds);
    for problem in &summary.problems {
        println!("  WRONG  {problem}");
    }
}

fn milliseconds(micros: u64) -> f64 {
    f64::from(u32::try_from(micros).unwrap_or(u32::MAX)) / 1000.
}

/// Whole tokens with two decimals, cut off.
fn whole(atoms: i128, decimals: u8) -> String {
    let text = tokens(atoms, decimals);
    let (whole, part) = text.split_once('.').unwrap_or((&text, ""));
    let (sign, digits) = whole.strip_prefix('-').map_or(("", whole), |digits| ("-", digits));
    let grouped = digits.parse().map_or_else(|_| digits.to_owned(), grouped);
    let part: String = part.chars().chain("00".chars()).take(2).collect();
    format!("{sign}{grouped}.{part}")
}

/// A row for each team that was ever among the favourites: the champion first, then by highest price.
fn chart(samples: &[Vec<f64>]) -> Vec<String> {
    let highest = |team: Team| samples.iter().map(|prices| prices[team.index()]).fold(0., f64::max);
    let mut teams: Vec<Team> = Team::all().collect();
    teams.sort_by(|&a, &b| highest(b).total_cmp(&highest(a)));
    teams.truncate(CONTENDERS);
    let width = teams.iter().map(|team| team.name().chars().count()).max().unwrap_or(0);
    teams
        .iter()
        .map(|&team| {
            let prices: Vec<f64> = samples.iter().map(|prices| prices[team.index()]).collect();
            let (first, last) = (prices.first().copied().unwrap_or(0.), prices.last().copied().unwrap_or(0.));
            format!(
                "{:<width$}  {first:.3} {} {last:.3}   highest {:.3}",
                team.name(),
                sparkline(&prices),
                highest(team)
            )
        })
        .collect()
}

fn sparkline(prices: &[f64]) -> String {
    let highest = prices.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
    (0..CHART.min(prices.len()))
        .map(|column| {
            let price = prices[column * prices.len() / CHART.min(prices.len())];
            let level = (0_u8..7).filter(|&level| price / highest * 8. >= f64::from(level) + 1.).count();
            SPARKS[level]
        })
        .collect()
}

fn biggest(swings: &[Swing]) -> Vec<&Swing> {
    let mut sorted: Vec<&Swing> = swings.iter().collect();
    sorted.sort_by(|a, b| b.size().total_cmp(&a.size()));
    sorted.truncate(SWINGS);
    sorted
}

fn swing_line(swing: &Swing) -> String {
    let [first, second] = swing.id.facts().teams.map(Team::name);
    let outcome = match (swing.subject, swing.outcome) {
        (Subject::After90(_), 0) | (Subject::Decided(_), 0) => first,
        (Subject::After90(_), 1) => "the draw",
        _ => second,
    };
    format!(
        "{:.3} → {:.3}  {outcome}: {first} {} {second} after {} in minute {}",
        swing.before,
        swing.after,
        swing.score_after,
        swing.score_before,
        swing.minute.to_string().trim_end_matches('\''),
    )
}

/// What an event is about, with the teams that its slots turned out to be.
fn title(subject: Subject) -> String {
    let versus = |id: MatchId| {
        let [first, second] = id.facts().teams.map(Team::name);
        format!("{} {first} v {second}", id.facts().stage.short())
    };
    match subject {
        Subject::After90(id) => format!("{}, after 90 minutes", versus(id)),
        Subject::Decided(id) => format!("{}, who goes on ({})", versus(id), winner_name(id)),
        Subject::Champion | Subject::GroupWinner(_) => facts().events[subject.event().0 as usize - 1].title.clone(),
    }
}

fn kind_line(kind: Kind, results: &[Result], money: &impl Fn(i128) -> String) -> String {
    let mut of_kind: Vec<&Result> = results.iter().filter(|result| result.kind == kind).collect();
    of_kind.sort_by_key(|result| result.profit);
    let total: i128 = of_kind.iter().map(|result| result.profit).sum();
    let name = format!("{} {}s", of_kind.len(), kind.name());
    match (of_kind.last(), of_kind.first()) {
        (Some(best), Some(worst)) => format!(
            "{name:<14} {:>14}  best {} {}, worst {} {}",
            money(total),
            best.name,
            money(best.profit),
            worst.name,
            money(worst.profit)
        ),
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_grouped_and_cut_off() {
        assert_eq!([0, 1_500_000, -1_234_567_891].map(|atoms| whole(atoms, 6)), ["0.00", "1.50", "-1,234.56"]);
    }

    #[test]
    fn a_chart_shows_the_shape_of_a_price() {
        assert_eq!(sparkline(&[0., 0.5, 1.]), "▁▅█");
        assert_eq!(sparkline(&[]), "");
        assert_eq!(sparkline(&vec![0.3; 200]).chars().count(), CHART);
    }
}
