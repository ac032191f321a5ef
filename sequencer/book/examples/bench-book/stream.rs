//! Commands, written before anything is measured.

use crate::ladder::LadderBook;
use crate::mix::{Dice, Kind, Mix};
use crate::{Contender, Fills};

pub(crate) const ACCOUNTS: usize = 1_000;
const MIDDLE: u64 = 10_000_000;

/// A limit order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limit {
    pub(crate) account: u32,
    pub(crate) nonce: u64,
    pub(crate) buys: bool,
    pub(crate) price: u64,
    pub(crate) lots: u64,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Command {
    /// What does not trade rests.
    Place(Limit),
    /// What does not trade is dropped.
    ImmediateOrCancel(Limit),
    Cancel {
        account: u32,
        nonce: u64,
    },
    /// The order of that nonce leaves, and a new one of the same account arrives.
    Move {
        nonce: u64,
        to: Limit,
    },
}

/// Who rests.
#[derive(Clone, Copy)]
pub(crate) struct Crowd {
    pub(crate) orders: usize,
    /// Prices of a side on which they come to rest.
    pub(crate) spread: u64,
    /// Prices that they then occupy, on both sides.
    pub(crate) slots: usize,
}

pub(crate) struct Stream {
    pub(crate) commands: Vec<Command>,
    /// How many of them only fill the book.
    pub(crate) warm: usize,
    pub(crate) mix: Mix,
}

impl Stream {
    /// See the head of `main.rs`.
    pub(crate) fn mixed(count: usize, Crowd { orders: target, spread, .. }: Crowd) -> Self {
        let mut dice = Dice::default();
        let mut nonces = vec![0; ACCOUNTS];
        // The stream is written along a book, so that whatever is cancelled or moved rests.
        let (mut book, mut fills) = (LadderBook::new(ACCOUNTS), Fills::default());
        let mut resting: Vec<(u32, u64)> = Vec::new();
        let mut stream = Self { commands: Vec::new(), warm: target, mix: Mix::default() };
        while stream.commands.len() < target + count {
            let warm = stream.commands.len() < target;
            let live = book.resting();
            let pick = |dice: &mut Dice, resting: &mut Vec<(u32, u64)>| loop {
                let (account, nonce) = resting.swap_remove(dice.index(resting.len()));
                if book.contains(account, nonce) {
                    return (account, nonce);
                }
            };
            let mut limit = |dice: &mut Dice, account: u32, crosses: bool| {
                let nonce = &mut nonces[account as usize];
                *nonce += 1;
                let buys = dice.below(2) == 0;
                let (distance, lots) = dice.distance_and_lots(spread, crosses);
                let price = if buys == crosses { MIDDLE + 1 + distance } else { MIDDLE - distance };
                Limit { account, nonce: *nonce, buys, price, lots }
            };
            let anybody = |dice: &mut Dice| u32::try_from(dice.below(ACCOUNTS as u64)).expect("few accounts");
            let kind = if warm { Kind::Rest } else { dice.kind(live, target) };
            let command = match kind {
                Kind::Rest => {
                    let account = anybody(&mut dice);
                    Command::Place(limit(&mut dice, account, false))
                }
                Kind::Cancel => {
                    let (account, nonce) = pick(&mut dice, &mut resting);
                    Command::Cancel { account, nonce }
                }
                Kind::Immediate => {
                    let account = anybody(&mut dice);
                    Command::ImmediateOrCancel(limit(&mut dice, account, true))
                }
                Kind::Move => {
                    let (account, nonce) = pick(&mut dice, &mut resting);
                    let crosses = dice.move_crosses();
                    Command::Move { nonce, to: limit(&mut dice, account, crosses) }
                }
            };
            let before = fills.count;
            book.apply(&command, &mut fills);
            if let Command::Place(to) | Command::Move { to, .. } = command {
                resting.push((to.account, to.nonce));
            }
            if !warm {
                stream.mix.count(kind, fills.count > before);
            }
            stream.commands.push(command);
        }
        stream
    }

    /// Liquibook's `pt_order_book`: nothing but orders, alternating sides, prices within ten ticks of 1880 and 1884, 100 to 1,000 lots.
    pub(crate) fn liquibook(count: usize) -> Self {
        let mut dice = Dice::default();
        let orders = (0..count as u64).map(|index| {
            let buys = index % 2 == 0;
            let price = dice.below(10) + if buys { 1_880 } else { 1_884 };
            let account = u32::try_from(index % ACCOUNTS as u64).expect("few accounts");
            let lots = 100 * (1 + dice.below(10));
            Command::Place(Limit { account, nonce: index / ACCOUNTS as u64, buys, price, lots })
        });
        Self { commands: orders.collect(), warm: 0, mix: Mix::default() }
    }
}
