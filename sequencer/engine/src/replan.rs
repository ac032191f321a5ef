//! A waiting order that another one takes the place of.
//!
//! Its place is what hangs on it: the order that it follows and how much of that has filled, the one that it excludes, those
//! that follow it. The new order has them from then on, and a wait of its own or the old one's. It queues behind what came
//! before it, like any order that replaces another.

use xos_types::{CancelReason, Event, Instructions, Lots, Nonce, Order, Pace, Plan, Reject, Signed, Trigger};

use crate::check::Origin;
use crate::engine::{Engine, tell};
use crate::follow::Live;

/// How an order waits: for which price, and in which parts it then goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wait {
    pub(crate) trigger: Option<Trigger>,
    pub(crate) pace: Pace,
}

impl Engine {
    /// Takes a waiting order out and lets another one wait, or does neither.
    pub(crate) fn replan(
        &mut self,
        old: Nonce,
        signed: &Signed<Order>,
        instructions: Instructions,
        wait: Wait,
        events: &mut Vec<Event>,
    ) {
        let Order { account, nonce, .. } = signed.message;
        let replaced = match self.check_live(account, old, signed.signer) {
            Ok(Live::Waiting) => self.take_the_place_of(old, signed, instructions, Some(wait), events),
            Ok(Live::Resting(_)) => Err(Reject::Rests { nonce: old }),
            Err(reject) => Err(reject),
        };
        if let Err(reject) = replaced {
            events.push(Event::Rejected { account, nonce, reject });
        }
    }

    /// The same for an order that waits, and that the new one's signer may cancel; without `wait` the new one waits on as it did.
    pub(crate) fn take_the_place_of(
        &mut self,
        old: Nonce,
        signed: &Signed<Order>,
        instructions: Instructions,
        wait: Option<Wait>,
        events: &mut Vec<Event>,
    ) -> Result<(), Reject> {
        let Order { account, nonce, market: wanted, .. } = signed.message;
        let was = self.plans.get((account, old)).expect("it waits").clone();
        if was.market() != wanted {
            return Err(Reject::OtherMarket { nonce: old, market: was.market(), wanted });
        }
        self.check_form(signed, Origin::New, 1)?;
        let Wait { trigger, pace } = wait.unwrap_or(Wait { trigger: was.plan.trigger, pace: was.plan.pace });
        // What it excludes hangs on it already.
        let plan = Plan { after: was.plan.after, trigger, cancels: None, pace };
        self.check_plan_form(&signed.message, &plan)?;

        let Order { market, side, price, .. } = was.signed.message;
        let (remaining, reason) = (was.remaining(), CancelReason::Replaced);
        // What slices of the old one filled of what it follows is not there for the new one.
        let followed = Lots(was.followed.0.saturating_sub(was.filled.0));
        let comes = |after| self.live((account, after)).is_some() || !self.accounts[account].nonces.is_spent(after);
        let over = !plan.after.is_some_and(comes);
        let stage = if wait.is_some() { self.first_stage(&plan, followed, over) } else { was.stage };
        self.take_waiting((account, old));
        self.accounts[account].nonces.spend(nonce);
        if self.accounts[account].links > 0 {
            self.plans.rename(account, old, nonce);
        }
        tell(events, || Event::Cancelled { account, nonce: old, market, side, price, remaining, reason });
        tell(events, || Event::Planned { order: signed.message, instructions, plan });
        self.wait(signed, instructions, plan, followed, stage);
        Ok(())
    }
}
