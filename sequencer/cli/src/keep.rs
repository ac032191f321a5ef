//! `xos keep`

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use clap::Args;
use jsonrpsee::core::ClientError;
use jsonrpsee::core::client::Subscription;
use jsonrpsee::ws_client::{WsClient, WsClientBuilder};
use serde::Serialize;
use tokio::time::{Instant, sleep, sleep_until};
use xos_api::people::{Decimal, tokens};
use xos_api::{
    AccountMessage, LiquidateRequest, LiquidationsMessage, MarketEvent, PositionMarginInfo, Sequence, XosApiClient,
};
use xos_auth::{Key, signature_bytes};
use xos_types::{AccountId, Event, Liquidate, Lots, MarketId, Nonce};

use crate::error::CliError;
use crate::order::expiry;
use crate::session::{KeyFlags, NodeFlags, Session};

/// A message waits for the next frame and happens there or never, so this is more than any of them needs.
const ANSWER_SECONDS: u64 = 30;
/// Before the next attempt when a node does not answer.
const PAUSE: Duration = Duration::from_secs(1);
const MILLION: u128 = 1_000_000;

/// Take over positions of failing accounts, for a part of the penalty
///
/// Waits for accounts that fail and asks for their perpetuals, the one that needs the most margin first. You get a position at the
/// index price and your part of the penalty that its holder pays; from then on its risk is yours. Whoever failed before it listens is
/// heard of when the next thing happens to him. Runs until it is stopped (Ctrl-C), through restarts of the node.
#[derive(Args)]
#[command(after_help = "Examples:
  xos keep 500                          takes what is worth 500 tokens at the most, from whoever fails
  xos keep 2000 --market 512 --slippage 0.5
  xos keep 500 --times 1 --json         ends after one")]
pub(crate) struct Keep {
    /// What one liquidation may be worth at the index price, in whole tokens; a part of a larger position is taken
    #[arg(value_name = "AMOUNT")]
    most: Decimal,
    /// Percent by which the index price may have moved against you when the next frame comes
    #[arg(long, value_name = "PERCENT", default_value = "1")]
    slippage: Decimal,
    /// Number of a perpetual's market that you would hold; several times for several, without it any
    #[arg(long = "market", value_name = "NUMBER")]
    markets: Vec<MarketId>,
    /// End after so many liquidations
    #[arg(long, value_name = "NUMBER")]
    times: Option<u64>,
    /// The account that takes, if you have several
    #[arg(long, value_name = "NUMBER")]
    account: Option<AccountId>,
    /// Print a line of JSON for each liquidation or refusal instead of text
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    node: NodeFlags,
    #[command(flatten)]
    key: KeyFlags,
}

/// What came of asking.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    /// Who failed.
    account: AccountId,
    /// In which perpetual.
    market: MarketId,
    /// The message's number.
    nonce: Nonce,
    /// Signed lots that are the keeper's now; 0 if it got none.
    lots: i64,
    /// What they are worth at the index price, in tokens.
    value: String,
    /// The keeper's part of the penalty, in tokens.
    reward: String,
    /// Why it got none.
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<String>,
}

/// A message that waits for its frame.
struct Asked {
    account: AccountId,
    market: MarketId,
    nonce: Nonce,
    until: Instant,
}

/// The two streams: who fails, and what came of what was asked for.
struct Feeds {
    _client: WsClient,
    failing: Subscription<LiquidationsMessage>,
    own: Subscription<AccountMessage>,
}

struct Keeper {
    flags: Keep,
    session: Session,
    key: Key,
    account: AccountId,
    /// Atoms.
    most: u128,
    /// Millionths.
    slippage: u128,
    /// Who fails and was not looked at.
    failing: VecDeque<AccountId>,
    /// What was refused, until its account is told of again.
    refused: BTreeSet<(AccountId, MarketId)>,
    asked: Option<Asked>,
    liquidations: u64,
    /// The last messages of the two streams.
    heard: Option<Sequence>,
    own_heard: Option<Sequence>,
}

impl Keep {
    pub(crate) async fn run(self) -> Result<(), CliError> {
        let key = self.key.key()?;
        let session = self.node.connect().await?;
        let account = session.account(self.account, &key).await?.account;
        let most = session.atoms(self.most)?;
        let slippage = self.slippage.in_units(MILLION / 100, 1).ok().filter(|millionths| *millionths < MILLION);
        let slippage = slippage.ok_or_else(|| {
            CliError::usage(format!("{} % is no slippage; expected at least 0, less than 100, like 0.5", self.slippage))
        })?;
        let keeper = Keeper {
            flags: self,
            session,
            key,
            account,
            most,
            slippage,
            failing: VecDeque::new(),
            refused: BTreeSet::new(),
            asked: None,
            liquidations: 0,
            heard: None,
            own_heard: None,
        };
        keeper.run().await
    }
}

impl Keeper {
    async fn run(mut self) -> Result<(), CliError> {
        let mut feeds = self.subscribe().await.map_err(|error| CliError::from_node(&self.url(), &error))?;
        self.say(&format!("account {} waits for accounts that fail; Ctrl-C ends it", self.account));
        while let Some(why) = self.follow(&mut feeds).await {
            self.say(&format!("the feed ended ({why}); subscribing again"));
            feeds = tokio::select! {
                feeds = self.subscribe_again() => feeds,
                _ = tokio::signal::ctrl_c() => break,
            };
            self.say("listening again");
        }
        Ok(())
    }

    /// Does what there is to do until a feed ends, and says why it did; none if the work is done.
    async fn follow(&mut self, feeds: &mut Feeds) -> Option<String> {
        while self.flags.times.is_none_or(|times| self.liquidations < times) {
            self.ask_for_next().await;
            let waits = self.asked.is_some() || !self.failing.is_empty();
            let until = self.asked.as_ref().map_or_else(|| Instant::now() + PAUSE, |asked| asked.until);
            tokio::select! {
                message = feeds.failing.next() => match message {
                    Some(Ok(message)) => {
                        self.heard = Some(message.sequence);
                        message.events.iter().for_each(|told| self.hear(told));
                    }
                    ended => return Some(reason(ended)),
                },
                message = feeds.own.next() => match message {
                    Some(Ok(message)) => {
                        self.own_heard = Some(message.sequence);
                        message.events.iter().for_each(|told| self.hear_own(told));
                    }
                    ended => return Some(reason(ended)),
                },
                () = sleep_until(until), if waits => self.give_up(),
                _ = tokio::signal::ctrl_c() => break,
            }
        }
        None
    }

    fn url(&self) -> String {
        self.flags.node.rpc.replacen("http", "ws", 1)
    }

    /// Listens, behind what was heard last.
    async fn subscribe(&self) -> Result<Feeds, ClientError> {
        let client = WsClientBuilder::default().build(self.url()).await?;
        let failing = client.subscribe_liquidations(self.heard).await?;
        let own = client.subscribe_account(self.account, self.own_heard).await?;
        Ok(Feeds { _client: client, failing, own })
    }

    /// The same for a node that was there and may be away.
    async fn subscribe_again(&mut self) -> Feeds {
        loop {
            match self.subscribe().await {
                Ok(feeds) => return feeds,
                // It has no place for that any more, so what came in between is not heard.
                Err(ClientError::Call(_)) => (self.heard, self.own_heard) = (None, None),
                Err(_) => {}
            }
            sleep(PAUSE).await;
        }
    }

    /// Whoever is named may be failing.
    fn hear(&mut self, told: &MarketEvent) {
        let Ok(
            Event::Failing { account }
            | Event::Flagged { account }
            | Event::Liquidated { account, .. }
            | Event::TakenOver { account, .. },
        ) = serde_json::from_value(told.event.clone())
        else {
            return;
        };
        self.refused.retain(|(refused, _)| *refused != account);
        self.enlist(account);
    }

    fn enlist(&mut self, account: AccountId) {
        if account != self.account && !self.failing.contains(&account) {
            self.failing.push_back(account);
        }
    }

    /// What became of what was asked for.
    fn hear_own(&mut self, told: &MarketEvent) {
        let decimals = self.session.info.token_decimals;
        let amount = |atoms: i128| tokens(atoms, decimals);
        let Some(asked) = &self.asked else { return };
        let (account, market, asked) = (asked.account, asked.market, asked.nonce);
        let answer = match serde_json::from_value(told.event.clone()) {
            Ok(Event::Liquidated { keeper, nonce, size, value, keeper_part, .. })
                if (keeper, nonce) == (self.account, asked) =>
            {
                self.liquidations += 1;
                let (value, reward) = (amount(value.0), amount(keeper_part.0));
                Answer { account, market, nonce, lots: size.0, value, reward, refused: None }
            }
            Ok(Event::RescueRefused { keeper, nonce, reject }) if (keeper, nonce) == (self.account, asked) => {
                self.refused.insert((account, market));
                Answer::refused((account, market, nonce), reject.to_string())
            }
            _ => return,
        };
        self.answered(&answer);
    }

    /// The frame came and went, or the node did; the message has expired. Whoever fails may be asked for again.
    fn give_up(&mut self) {
        if let Some(Asked { account, market, nonce, .. }) = self.asked {
            self.answered(&Answer::refused((account, market, nonce), format!("no answer in {ANSWER_SECONDS} s")));
        }
    }

    fn answered(&mut self, answer: &Answer) {
        let Answer { account, market, lots, value, reward, refused, .. } = answer;
        self.asked = None;
        // It may still fail, and have another position.
        self.enlist(*account);
        if self.flags.json {
            println!("{}", serde_json::to_string(answer).unwrap_or_default());
            return;
        }
        match refused {
            Some(reason) => println!("got nothing of account {account} in market {market}: {reason}"),
            None => println!("took {lots} lots of market {market} from account {account}, worth {value}, for {reward}"),
        }
    }

    /// Asks for one position at a time, so that the margin that it takes is there for each.
    async fn ask_for_next(&mut self) {
        while self.asked.is_none()
            && let Some(account) = self.failing.pop_front()
        {
            match self.ask_for(account).await {
                Ok(()) => {}
                Err(CliError::Away { .. }) => return self.failing.push_front(account),
                Err(error) => self.say(&format!("account {account} was left alone: {error}")),
            }
        }
    }

    /// Asks for the position of an account that needs the most margin, if it fails and has one that is wanted.
    async fn ask_for(&mut self, account: AccountId) -> Result<(), CliError> {
        let margin = self.session.ask(self.session.client.margin(account)).await?;
        let wanted = |position: &&PositionMarginInfo| {
            (self.flags.markets.is_empty() || self.flags.markets.contains(&position.market))
                && !self.refused.contains(&(account, position.market))
        };
        let positions = margin.positions.iter().filter(wanted);
        let dearest = positions.max_by_key(|position| position.maintenance_requirement);
        let Some(position) = dearest.filter(|_| margin.failing) else { return Ok(()) };
        let market = position.market;
        let nonce = self.session.ask(self.session.client.account(self.account)).await?.next_nonce;
        let answer = match portion(position, self.most, self.slippage) {
            None => Err(CliError::usage("it has no price, or a lot of it is worth more than you would take")),
            Some((size, limit)) => {
                // Behind its expiry, so that there are never two.
                let until = Instant::now() + Duration::from_secs(ANSWER_SECONDS + 1);
                self.asked = Some(Asked { account, market, nonce, until });
                let keeper = self.account;
                let expiry = expiry(Some(ANSWER_SECONDS));
                let message = Liquidate { keeper, account, market, size, limit, nonce, expiry };
                let signature = self.key.sign_typed(&self.session.domain(), message).signature;
                let signature = signature_bytes(&signature).into();
                let request = LiquidateRequest { keeper, account, market, size, limit, nonce, expiry, signature };
                self.session.ask(self.session.client.liquidate(request)).await
            }
        };
        match answer {
            // A node that went away may have taken it.
            Ok(_) | Err(CliError::Away { .. }) => {}
            Err(refusal) => {
                self.refused.insert((account, market));
                self.answered(&Answer::refused((account, market, nonce), refusal.to_string()));
            }
        }
        Ok(())
    }

    /// News that are no answer; who reads JSON reads answers only.
    fn say(&self, news: &str) {
        if self.flags.json { eprintln!("{news}") } else { println!("{news}") }
    }
}

impl Answer {
    fn refused((account, market, nonce): (AccountId, MarketId, Nonce), reason: String) -> Self {
        let nothing = || "0".to_owned();
        Self { account, market, nonce, lots: 0, value: nothing(), reward: nothing(), refused: Some(reason) }
    }
}

/// How many lots are worth `most` atoms at most, and the index price up to which they are wanted, `slippage` millionths worse than
/// today's; none if not even one lot is, or nothing has a price. The limit's last unit is in the keeper's favour.
fn portion(position: &PositionMarginInfo, most: u128, slippage: u128) -> Option<(Lots, u128)> {
    let (lots, value) = (u128::from(position.lots.0.unsigned_abs()), position.value.0.unsigned_abs());
    let affordable = if value > most { lots.checked_mul(most)? / value } else { lots };
    let size = u64::try_from(affordable).ok().filter(|size| *size > 0)?;
    let index = position.liquidation?.index;
    let limit = if position.lots.0 > 0 {
        index.checked_mul(MILLION + slippage)? / MILLION
    } else {
        index.checked_mul(MILLION - slippage)?.div_ceil(MILLION)
    };
    Some((Lots(size), limit))
}

fn reason<T, E: ToString>(ended: Option<Result<T, E>>) -> String {
    match ended {
        Some(Err(error)) => error.to_string(),
        _ => "the connection broke".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use xos_api::LiquidationPrice;
    use xos_types::{Atoms, FeedId, Position, Ticks};

    use super::*;

    fn position(lots: i64, value: i128) -> PositionMarginInfo {
        PositionMarginInfo {
            market: MarketId(512),
            feed: FeedId(1),
            lots: Position(lots),
            value: Atoms(value),
            funding: Atoms(0),
            initial_requirement: Atoms(0),
            maintenance_requirement: Atoms(0),
            liquidation: Some(LiquidationPrice { index: 1_000_001, ticks: Ticks(1) }),
        }
    }

    #[test]
    fn a_keeper_asks_for_no_more_than_it_would_pay_and_at_no_worse_a_price() {
        assert_eq!(portion(&position(10, 1_000), 1_000, 0), Some((Lots(10), 1_000_001)));
        assert_eq!(
            portion(&position(10, 1_000), 999, 10_000),
            Some((Lots(9), 1_010_001)),
            "rounded down for a long one"
        );
        assert_eq!(portion(&position(-10, -1_000), 250, 10_000), Some((Lots(2), 990_001)), "and up for a short one");
        assert_eq!(portion(&position(10, 1_000), 99, 0), None, "less than a lot");
    }
}
