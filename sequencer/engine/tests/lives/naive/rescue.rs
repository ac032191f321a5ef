//! What becomes of accounts that fail.

use super::*;

/// A flag is good for a minute.
const FLAG_LIFE: u64 = 60_000;

impl Naive {
    /// Those who fail lose their orders and are flagged. Returns them.
    pub(super) fn rescue(&mut self, out: &mut Vec<Event>) -> Vec<AccountId> {
        let failing = self.shed_all(out);
        out.extend(failing.iter().map(|account| Event::Failing { account: *account }));
        for account in &failing {
            self.flag(*account, out);
        }
        failing
    }

    fn flag(&mut self, account: AccountId, out: &mut Vec<Event>) {
        let now = self.open.time;
        if self.flags.get(&account).is_some_and(|since| since + FLAG_LIFE >= now) {
            return;
        }
        self.flags.insert(account, now);
        self.open.rescues.push(Rescue::Flag { account });
        out.push(Event::Flagged { account });
    }
}
