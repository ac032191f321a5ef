// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @notice Whether bytes are well-formed UTF-8 (RFC 3629).
/// @dev What the chain queues, the sequencer must be able to read and to write again byte for byte; text that is not
/// UTF-8 would stop the inbox for ever.
library Utf8 {
    function isValid(string calldata text) internal pure returns (bool) {
        bytes calldata data = bytes(text);
        uint256 i = 0;
        while (i < data.length) {
            uint8 lead = uint8(data[i++]);
            if (lead < 0x80) continue;

            // The table of RFC 3629, section 4: how many bytes follow, and the range of the first of them, which rules out
            // overlong forms, surrogates and everything beyond U+10FFFF.
            uint256 following;
            (uint8 lowest, uint8 highest) = (0x80, 0xBF);
            if (lead >= 0xC2 && lead <= 0xDF) {
                following = 1;
            } else if (lead >= 0xE0 && lead <= 0xEF) {
                following = 2;
                if (lead == 0xE0) lowest = 0xA0;
                if (lead == 0xED) highest = 0x9F;
            } else if (lead >= 0xF0 && lead <= 0xF4) {
                following = 3;
                if (lead == 0xF0) lowest = 0x90;
                if (lead == 0xF4) highest = 0x8F;
            } else {
                return false;
            }
            for (; following > 0; --following) {
                if (i == data.length) return false;
                uint8 next = uint8(data[i++]);
                if (next < lowest || next > highest) return false;
                (lowest, highest) = (0x80, 0xBF);
            }
        }
        return true;
    }
}
