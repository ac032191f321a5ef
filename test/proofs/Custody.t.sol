// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Test} from "forge-std/Test.sol";
import {Custody} from "../../contracts/group/Custody.sol";
import {GroupStorage} from "../../contracts/group/State.sol";
import {Touched} from "../../contracts/group/Touched.sol";
import {AccountId, FeedId} from "../../contracts/group/Types.sol";

/// @notice While losses are shared, who leaves is paid no more than its covered part, and takes from nobody else.
/// @dev Claims are `pool + badDebt`, covered by `pool`. Amounts are uint128, as in the contracts, but where a product of two
/// is compared: there they are uint32. The proof holds at uint128 too, where its mutation is not refuted in time.
contract CustodyProofs is Test, GroupStorage {
    AccountId private constant ACCOUNT = AccountId.wrap(10);

    /// @notice Who leaves while losses are shared is paid no more than the part of its claim that the pool covers.
    /// @dev That is `paid / amount <= pool / claims`, of amounts of 32 bits. Fails when `coveredOf` pays an atom more.
    function check_a_claim_pays_its_covered_part(uint32 pool, uint32 badDebt, uint32 amount) public {
        uint256 claims = uint256(pool) + badDebt;
        uint256 paid = _take(pool, badDebt, amount);
        _division(uint256(amount) * pool, claims);
        assert(paid * claims <= uint256(amount) * pool);
    }

    /// @notice While no losses are shared, a claim is paid in full.
    /// @dev Fails when `coveredOf` divides by one more than there is.
    function check_without_shared_losses_all_is_paid(uint128 pool, uint128 amount) public {
        assert(_take(pool, 0, amount) == amount);
        assert(_s.badDebt == 0);
    }

    /// @notice What a withdrawal takes from an account is what all claims together shrink by.
    /// @dev So nobody else's cash is touched. Fails when `take` lets the payment reduce the shared debt, too.
    function check_a_claim_paid_is_a_claim_less(uint128 pool, uint128 badDebt, uint128 amount, int120 cash) public {
        _s.accounts[ACCOUNT].cash = cash;
        _take(pool, badDebt, amount);
        assert(int256(_s.accounts[ACCOUNT].cash) == int256(cash) - int256(uint256(amount)));
        assert(uint256(_s.pool) + _s.badDebt == uint256(pool) + badDebt - amount);
    }

    function _take(uint128 pool, uint128 badDebt, uint128 amount) private returns (uint256 paid) {
        (_s.pool, _s.badDebt) = (pool, badDebt);
        Touched.begin(1);
        Custody.Destination memory destination;
        Custody.take(_s, ACCOUNT, address(1), FeedId.wrap(0), amount, destination, Touched.GREW);
        paid = pool - _s.pool;
    }

    /// @dev The solver is told what division is for these numbers: it would search long for it in 256 bits.
    function _division(uint256 a, uint256 b) private pure {
        unchecked {
            vm.assume(a / b * b <= a && a - a / b * b < b);
        }
    }
}
