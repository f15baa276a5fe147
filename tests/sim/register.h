// SPDX-License-Identifier: Apache-2.0
// Judges the history of one block: could one register have behaved so?
//
// THE RULE. Every access takes effect in one moment between the arrival of its command and the
// command's answer; a change that was not answered GOOD may have taken effect in that time, or not
// at all. A history is right if such moments can be found that each read shows what was current at
// its own. (This is linearizability, Herlihy and Wing 1990, of a register.)
//
// Why that is SCSI's rule, and exact. Commands that are outstanding together are ordered by nobody
// (SIMPLE task attribute, SAM-5, 8.6.1), so each of them may come first; a command that arrives
// after another's answer comes after it. That holds for commands that were answered BUSY, TASK SET
// FULL or CHECK CONDITION as well. An orphan lands after its answer, and the rule says that its
// effect is before that: there is no contradiction, because what arrives after the answer and
// touches the block waits for the orphan, and so cannot tell. Whoever can tell has found a late
// landing: an older change that came back over what was read or written since. So "it may take
// effect later, once, or never, but never over what was shown or acknowledged since" and the rule
// are the same thing.
//
// Blocks are judged one by one, as SCSI promises atomicity to no transfer of several blocks.
// COMPARE AND WRITE is one access: its comparison and its change have no other change between them.
//
// Contents need not be unique (zeros, retries carry the same data), so this is a search: the states
// that the register and the accesses under way may be in, moved along the answers, where an access
// takes effect no earlier than an answer asks for it. Most changes are seen by nobody; what never
// matters is left out, so that the search is short. Pure function.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "tests/sim/content.h"

namespace ballast::sim {

struct Access {
  enum class Kind : std::uint8_t {
    put,      // the block becomes `content`
    get,      // the block is `content`
    differs,  // the block is not `expected`
    swap,     // the block is `expected` and becomes `content`
  };
  Kind kind = Kind::put;
  bool certain = true;  // false: it may not have happened; reads are always certain
  Content content{};
  Content expected{};
  std::uint64_t began = 0;  // when its command arrived, and was answered, on one scale of moments
  std::uint64_t ended = 0;
  std::uint32_t command = 0;  // for messages
  const char* name = "";      // the same: "WRITE", "READ"
};

enum class Judgement : std::uint8_t {
  right,
  wrong,
  undecided,  // too much was under way at once for the search
};

struct Finding {
  Judgement judgement = Judgement::right;
  std::size_t access = 0;  // wrong: the one whose answer fits nothing
};

// `accesses` in any order; the block is `initial` before the first.
Finding judge(std::span<const Access> accesses, Content initial);

// One line: "moments 12-40 command 7 WRITE puts data 3 block 1 (answered BUSY)".
std::string describe(const Access& access);

// What is worth reading about `wrong`: it, and what was under way with it or shortly before.
std::vector<std::string> neighbourhood(std::span<const Access> accesses, std::size_t wrong);

}  // namespace ballast::sim
