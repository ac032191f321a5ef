//! The usual mix of matching engines' benchmarks (exchange-core's), for those of the book and of the engine: 9 % of the
//! commands are orders that rest, 3 % immediate-or-cancel orders, 6 % cancels and 82 % moves, a cancel and a new order of
//! another price, size and nonce in one command; about 6 % trade.

/// What a command is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Rest,
    Immediate,
    Cancel,
    Move,
}

/// Xorshift: the same commands every time.
pub(crate) struct Dice(u64);

impl Default for Dice {
    fn default() -> Self {
        Self(0x9e37_79b9_7f4a_7c15)
    }
}

impl Dice {
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    pub(crate) fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).expect("below a length")
    }

    /// The next command while `live` orders rest and `target` should: nine of a hundred rest and six are cancels, but for what
    /// keeps the number of orders where it is.
    pub(crate) fn kind(&mut self, live: usize, target: usize) -> Kind {
        match self.below(100) {
            0..15 if live < target - target / 20 || (live < target + target / 20 && self.below(15) < 9) => Kind::Rest,
            0..15 => Kind::Cancel,
            15..18 => Kind::Immediate,
            _ => Kind::Move,
        }
    }

    /// Whether a move trades.
    pub(crate) fn move_crosses(&mut self) -> bool {
        self.below(1_000) < 35
    }

    /// Ticks from the middle, of `spread` to a side, and lots. A move that trades costs the book an order, its own or one that
    /// it meets; small takers cost no more, so that what is added, cancelled and traded is in balance.
    pub(crate) fn distance_and_lots(&mut self, spread: u64, crosses: bool) -> (u64, u64) {
        if crosses { (self.below(spread / 40), 1 + self.below(6)) } else { (self.below(spread), 1 + self.below(100)) }
    }
}

/// How many commands of each kind there were, and how many of all traded.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Mix {
    kinds: [usize; 4],
    trades: usize,
}

impl Mix {
    pub(crate) fn count(&mut self, kind: Kind, trades: bool) {
        self.kinds[kind as usize] += 1;
        self.trades += usize::from(trades);
    }

    /// It is what the head of this file says, within a hundredth.
    pub(crate) fn check(&self) {
        let measured: usize = self.kinds.iter().sum();
        for (count, percent) in self.kinds.into_iter().chain([self.trades]).zip([9, 3, 6, 82, 6]) {
            let difference = (count * 100).abs_diff(measured * percent);
            assert!(difference <= measured, "{self:?} of {measured}");
        }
    }
}
