//! Index prices, and funding by the premium of the mark over them.

use super::*;

const HOUR: i128 = 3_600_000;

#[derive(Clone, Debug)]
pub(crate) struct Feed {
    pub(crate) kept: Kept,
    /// Nobody says a price any more once its perpetual is delisted.
    pub(super) is_over: bool,
    /// Atoms per lot, times 1e9; 0 before the first.
    pub(crate) price: i128,
    /// When that was published.
    pub(crate) time: u64,
    /// It broke a rule.
    pub(crate) breached: bool,
    /// New risk may not rely on it in this frame.
    pub(crate) stale: bool,
    /// What a lot that was long all the time has paid, atoms times 1e9.
    pub(crate) funding: i128,
    /// When that last moved, and up to when premiums are counted.
    funding_time: u64,
    sampled: u64,
    /// Σ premium · milliseconds that are not in the index yet.
    due: i128,
    /// What a perpetual has cost others.
    pub(crate) loss: i128,
    /// Where its markets last traded, atoms per lot times 1e9.
    last_trade: Option<i128>,
}

/// What is held at an index price.
#[derive(Clone, Debug)]
pub(crate) enum Kept {
    Asset(AssetConfig),
    Perpetual(MarketId, PerpetualConfig),
}

impl Feed {
    pub(super) fn new(kept: Kept, time: u64) -> Self {
        Self {
            kept,
            is_over: false,
            price: 0,
            time: 0,
            breached: false,
            stale: true,
            funding: 0,
            funding_time: time,
            sampled: time,
            due: 0,
            loss: 0,
            last_trade: None,
        }
    }

    fn config(&self) -> FeedConfig {
        match &self.kept {
            Kept::Asset(config) => config.feed,
            Kept::Perpetual(_, config) => config.feed,
        }
    }

    pub(crate) fn asset(&self) -> &AssetConfig {
        let Kept::Asset(config) = &self.kept else { panic!("it is a perpetual") };
        config
    }

    pub(crate) fn perpetual(&self) -> &PerpetualConfig {
        let Kept::Perpetual(_, config) = &self.kept else { panic!("it is an asset") };
        config
    }

    /// What `lots` are worth at index price, rounded down.
    pub(super) fn value(&self, lots: i128) -> i128 {
        floor(lots * self.price, SCALE)
    }

    /// What a liquidation or a forced close of so many lots costs.
    pub(super) fn penalty(&self, lots: i128) -> i128 {
        ceil(self.value(lots).abs() * i128::from(self.perpetual().penalty.0), MILLION)
    }

    /// What `lots` require, at the fractions of the tiers.
    pub(super) fn requirement(&self, lots: i128, fractions: [Ppm; 4]) -> i128 {
        let notional = ceil(lots.abs() * self.price, SCALE);
        let bounds = self.perpetual().tier_bounds;
        let tier = bounds.iter().filter(|millions| notional > i128::from(**millions) * MILLION).count();
        ceil(notional * i128::from(fractions[tier].0), MILLION)
    }

    /// What atoms of an asset count for at a weight.
    pub(super) fn counted(&self, atoms: i128, weight: Ppm) -> i128 {
        let worth = floor(atoms * self.price, i128::from(self.asset().lot) * SCALE);
        floor(worth * i128::from(weight.0), MILLION)
    }

    /// Takes a price as far as the rules allow; whether it is one at all.
    fn take(&mut self, update: &PriceUpdate, now: u64) -> bool {
        let config = self.config();
        let published = update.published_at.0;
        let told = i128::try_from(update.answer * config.unit / 1_000_000_000_000_000_000).unwrap();
        let highest = 100_000_000_000 * SCALE;
        if self.is_over || !(self.time..=now).contains(&published) || !(1..=highest).contains(&told) {
            return false;
        }
        let (before, elapsed) = (self.price, published - self.time);
        (self.price, self.time, self.breached) = (told, published, false);
        if before != 0 {
            let most = before * i128::from(config.max_move.0) * i128::from(elapsed) / (1_000 * MILLION);
            self.price = told.clamp((before - most).max(1), before + most);
            self.breached = self.price != told || elapsed > config.max_gap.into();
        }
        true
    }

    /// Moves the funding index, and says whether it did.
    fn fund(&mut self, mark: i128, now: u64) -> bool {
        let Kept::Perpetual(_, config) = &self.kept else { return false };
        let since = |then: u64| i128::from(now - then).min(HOUR);
        let elapsed = since(self.sampled);
        self.sampled = now;
        if self.price == 0 || self.stale || self.is_over {
            return false;
        }
        self.due += (mark - self.price) * elapsed;
        if now - self.funding_time < 1_000 {
            return false;
        }
        // A premium flows once in eight hours.
        let step = floor(self.due, 8 * HOUR);
        let cap = self.price * i128::from(config.funding_cap.0) * since(self.funding_time) / (MILLION * HOUR);
        let moved = step.clamp(-cap, cap);
        // What the division leaves is carried on; what is above the cap is forgone.
        self.due = if moved == step { self.due - step * 8 * HOUR } else { 0 };
        self.funding += moved;
        if moved != 0 {
            self.funding_time = now;
        }
        moved != 0
    }
}

impl Naive {
    pub(super) fn feed(&self, market: MarketId) -> Option<&Feed> {
        self.feeds.get(&self.listing(market).feed?)
    }

    pub(super) fn feed_mut(&mut self, market: MarketId) -> &mut Feed {
        let id = self.listing(market).feed.unwrap();
        self.feeds.get_mut(&id).unwrap()
    }

    /// The median of three: index, middle of the book, last trade; what is missing is the index.
    pub(super) fn blended(&self, market: MarketId) -> i128 {
        let (listing, feed) = (self.listing(market), self.feed(market).unwrap());
        let best = |side| {
            let best = *self.side(market, side).first()?;
            Some(i128::from(self.orders[best].price) * listing.quantum() * SCALE)
        };
        let middle = best(Side::Buy).zip(best(Side::Sell)).map(|(bid, ask)| (bid + ask) / 2);
        let mut three = [feed.price, middle.unwrap_or(feed.price), feed.last_trade.unwrap_or(feed.price)];
        three.sort_unstable();
        three[1]
    }

    pub(super) fn note_trade(&mut self, market: MarketId, price: u64) {
        self.last_trades.insert(market, price);
        let scaled = self.listing(market).value(price, 1) * SCALE;
        if let Some(feed) = self.listing(market).feed {
            self.feeds.get_mut(&feed).unwrap().last_trade = Some(scaled);
        }
    }

    /// Prices, by ascending feed; then what has become too old or bad to rely on. Returns what just has.
    pub(super) fn take_prices(&mut self, prices: &[PriceUpdate], out: &mut Vec<Event>) -> Vec<FeedId> {
        let now = self.open.time;
        let mut last = FeedId(0);
        for update in prices {
            let id = update.feed;
            let feed = self.feeds.get_mut(&id).filter(|_| id > last);
            let Some(feed) = feed.and_then(|feed| feed.take(update, now).then_some(feed)) else {
                out.push(Event::PriceLeftOut { feed: id });
                continue;
            };
            let (price, breached) = (feed.price.try_into().unwrap(), feed.breached);
            out.push(Event::Priced { feed: id, price, published_at: update.published_at, breached });
            self.open.prices.push(update.clone());
            last = id;
        }
        let mut turned_stale = vec![];
        for (id, feed) in &mut self.feeds {
            let stale = feed.breached || feed.time + u64::from(feed.config().max_age) < now;
            if stale && !feed.stale {
                turned_stale.push(*id);
            }
            feed.stale = stale;
        }
        turned_stale
    }

    pub(super) fn move_funding(&mut self, out: &mut Vec<Event>) {
        for market in self.markets() {
            let Some(id) = self.listing(market).feed else { continue };
            let (mark, now) = (self.blended(market), self.open.time);
            let feed = self.feeds.get_mut(&id).unwrap();
            if self.listings[&market.event()].kind == MarketKind::Perpetual && feed.fund(mark, now) {
                let index = feed.funding;
                self.open.funding.push(FundingUpdate { feed: id, index });
                out.push(Event::Funded { feed: id, index });
            }
        }
    }
}
