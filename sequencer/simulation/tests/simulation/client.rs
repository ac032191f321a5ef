//! Traders: each places, cancels and takes orders of its own, hears what became of them or nothing at all, and asks again.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::{sleep, timeout};
use xos_auth::{Domain, Key};
use xos_types::{
    AccountId, Cancel, Command, EventId, Lots, MarketId, Nonce, Order, OrderKind, Ppm, Side, Ticks, TimeMs, Withdraw,
};

use crate::dice::Dice;
use crate::evm::{Genesis, trader};
use crate::node::{Answer, Node, Unanswered};
use crate::world::World;

/// How long a client waits for an answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// What all clients share.
pub(crate) struct Crowd {
    pub(crate) world: Rc<World>,
    pub(crate) nodes: Vec<Rc<Node>>,
    /// Requests and answers that get lost, in a thousand.
    pub(crate) lost: Cell<u64>,
    /// Answers that said that something was done.
    pub(crate) done: Cell<u64>,
}

pub(crate) struct Client {
    crowd: Rc<Crowd>,
    key: Key,
    account: AccountId,
    domain: Domain,
    dice: Dice,
    nonce: u64,
    /// Which node answered last.
    node: usize,
    name: String,
}

impl Client {
    pub(crate) fn new(crowd: &Rc<Crowd>, number: u8) -> Self {
        let name = format!("trader {number}");
        Self {
            key: trader(number),
            // After the insurance fund and the protocol's treasury.
            account: AccountId(3 + u64::from(number)),
            domain: Genesis::get().deployment.domain(),
            dice: crowd.world.dice(&name),
            crowd: Rc::clone(crowd),
            nonce: 0,
            node: 0,
            name,
        }
    }

    pub(crate) async fn live(mut self) {
        loop {
            let pause = self.dice.pick(&[20, 100, 400, 1_500]);
            sleep(self.dice.ms(1, pause)).await;
            if !self.crowd.world.busy.get() {
                continue;
            }
            let count = self.dice.between(1, 3);
            let commands: Vec<Command> = (0..count).map(|_| self.command()).collect();
            // Until it is known what became of them. An order that was taken is refused as a repetition, and never taken twice.
            for attempt in 0..4 {
                match self.ask(commands.clone()).await {
                    Ok(answers) => {
                        let done = answers.iter().filter(|answer| matches!(answer, Answer::Done(_))).count();
                        self.crowd.done.set(self.crowd.done.get() + done as u64);
                        break;
                    }
                    Err(Unanswered::NotHere) => self.node = (self.node + 1) % self.crowd.nodes.len(),
                    Err(Unanswered::Refused) => break,
                    Err(Unanswered::Gone) => {
                        self.crowd.world.trace.note(&self.name, format!("hears nothing (attempt {attempt})"));
                    }
                }
                sleep(self.dice.ms(50, 800)).await;
            }
        }
    }

    async fn ask(&self, commands: Vec<Command>) -> Result<Vec<Answer>, Unanswered> {
        sleep(self.dice.ms(0, 5)).await;
        if self.dice.chance(self.crowd.lost.get()) {
            sleep(PATIENCE).await;
            return Err(Unanswered::Gone);
        }
        let answer = self.crowd.nodes[self.node].arrive(commands)?;
        let answers = match timeout(PATIENCE, answer).await {
            Ok(Ok(answers)) => answers,
            Ok(Err(_)) | Err(_) => return Err(Unanswered::Gone),
        };
        sleep(self.dice.ms(0, 5)).await;
        if self.dice.chance(self.crowd.lost.get()) {
            sleep(PATIENCE).await;
            return Err(Unanswered::Gone);
        }
        Ok(answers)
    }

    fn command(&mut self) -> Command {
        self.nonce += 1;
        let nonce = Nonce(self.nonce);
        match self.dice.between(0, 99) {
            0..=69 => {
                let order = Order {
                    account: self.account,
                    market: MarketId::new(EventId(1), u8::try_from(self.dice.between(0, 2)).unwrap()),
                    side: self.dice.pick(&[Side::Buy, Side::Sell]),
                    kind: self.dice.pick(&[
                        OrderKind::GoodTillCancelled,
                        OrderKind::GoodTillCancelled,
                        OrderKind::ImmediateOrCancel,
                        OrderKind::PostOnly,
                    ]),
                    reduce_only: false,
                    size: Lots(self.dice.between(1, 50)),
                    price: Ticks(self.dice.between(290, 380)),
                    nonce,
                    expiry: TimeMs(0),
                    max_fee: Ppm(10_000),
                    builder: 0,
                    builder_fee: Ppm(0),
                };
                Command::place(self.key.sign_typed(&self.domain, order))
            }
            70..=95 => {
                let cancel = Cancel { account: self.account, nonce: Nonce(self.dice.between(1, self.nonce)) };
                Command::Cancel(self.key.sign_typed(&self.domain, cancel))
            }
            _ => {
                let token = Genesis::get().deployment.token;
                let amount = u128::from(self.dice.between(1, 1_000_000));
                let withdraw = Withdraw { account: self.account, token, amount, nonce, expiry: TimeMs(0) };
                Command::Withdraw(self.key.sign_typed(&self.domain, withdraw))
            }
        }
    }
}
