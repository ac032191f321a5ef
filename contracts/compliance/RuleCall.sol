// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IComplianceRule} from "./IComplianceRule.sol";

/// @title Asking a rule that may be hostile
library RuleCall {
    /// @notice What a venue's rule may spend, whoever asks and with however much more.
    uint256 internal constant GAS = 1_000_000;

    /// @notice The call cannot give the rule its gas. Send more.
    error NotEnoughGas(uint256 needed, uint256 left);

    /// @notice Until when the rule says that `subject` passes; 0 for whatever is not an answer.
    /// @dev The rule gets exactly `gas_` or is not asked: who calls with little gas must not be able to make a no of a yes,
    /// and have a member revoked. A call passes on 63/64 of the gas left (EIP-150), so a 32nd more is enough; the rest is
    /// what the call itself costs. Nothing of what is returned is copied but one word.
    function ask(IComplianceRule rule, address subject, bytes memory evidence, uint256 gas_)
        internal
        view
        returns (uint64)
    {
        bytes memory question = abi.encodeCall(IComplianceRule.passesUntil, (subject, evidence));
        uint256 needed = gas_ + gas_ / 32 + 10_000;
        if (gasleft() < needed) revert NotEnoughGas(needed, gasleft());
        uint256 answer;
        assembly ("memory-safe") {
            let answered := staticcall(gas_, rule, add(question, 32), mload(question), 0, 32)
            if and(answered, eq(returndatasize(), 32)) { answer := mload(0) }
        }
        // Compared before it is narrowed.
        // forge-lint: disable-next-line(unsafe-typecast)
        return answer > type(uint64).max ? 0 : uint64(answer);
    }
}
