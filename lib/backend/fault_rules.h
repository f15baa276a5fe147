// SPDX-License-Identifier: Apache-2.0
// The rules of the fault backend: a small text with one rule in a line. The first rule that matches
// an operation and whose conditions all hold applies to it.
//
//   <operation>[,<operation>…] <what happens> [<condition>…]
//
//   # one write in ten is late, but only there
//   write delay=2s chance=10% lba=2048-4095
//   read,flush error=medium_error first=3
//   all freeze
//
// Operations   read write zero discard flush block_status, or `all` of these six; and resize
// Happens      delay=<duration>   as lib/base/values.h: 500ms, 20s, 2min
//              error=<status>     medium_error no_space no_resource not_ready write_protected
//                                 not_supported; only statuses that are legal for the operation
//                                 (op_status.h)
//              error=<errno>      EIO, ENOSPC, EROFS and all others of errno(3): the status that
//                                 op_status.h makes of it
//              block=<duration>   the thread that drives the LUN sleeps, so the LUN answers nothing
//                                 meanwhile, nor goes on with anything: what a bug of Ballast would
//                                 do; one minute at most
//              freeze             held until rules are applied in which no freeze matches
// Conditions   first=<n>          the first n operations that match
//              every=<n>          each nth operation that matches
//              chance=<n>%        n of 100 operations, at random; n is 1 to 100
//              lba=<a>-<b>        the operation touches a logical block from a to b; never true of
//                                 flush and resize
//              after              the operation is done first, then its answer is delayed, frozen,
//                                 or replaced (by medium_error only: the other errors promise
//                                 that nothing was done)
//              cancellable        a delay or freeze ends early, with nothing done, when the command
//                                 is cancelled; most real storage that hangs cannot do that
//              stubborn           not even closing the LUN ends a delay or freeze
// Besides      # comment, empty lines
//              seed <n>           the seed for `chance`; 1 unless given
//              thaw               no rule; a text of this line alone tells a reader its purpose
//
// Counts begin anew whenever a text is applied. A text with a bad line is refused as a whole. Pure
// functions and values; one thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <random>
#include <string_view>
#include <vector>

#include "lib/backend/op_status.h"
#include "lib/base/result.h"
#include "lib/base/units.h"

namespace ballast::backend {

struct FaultRule {
  enum class Effect : std::uint8_t { delay, error, freeze, block };
  static constexpr Nanoseconds longest_block = std::chrono::minutes{1};
  unsigned operations = 0;  // bit 1 << OpKind
  Effect effect = Effect::delay;
  bool after = false;
  bool cancellable = false;
  bool stubborn = false;
  Nanoseconds delay{};  // or how long it blocks
  IoStatus status = IoStatus::medium_error;
  int errno_value = 0;      // above 0: replaces `status`
  std::uint64_t first = 0;  // 0: no such condition, here and in the next two
  std::uint64_t every = 0;
  unsigned chance_percent = 0;
  std::optional<Lba> first_lba;  // both or none
  std::optional<Lba> last_lba;
  std::uint64_t matched = 0;  // operations that matched so far

  // The status of an operation of this kind, if the effect is an error.
  IoStatus error_of(OpKind kind) const {
    return errno_value > 0 ? status_from_errno(kind, errno_value) : status;
  }
};

// One operation as the rules see it.
struct FaultSubject {
  OpKind kind;
  Lba lba;           // first logical block
  BlockCount count;  // 0: the operation has no range
};

class FaultRules {
 public:
  static constexpr std::size_t most_rules = 64;
  static constexpr std::size_t longest_text = std::size_t{16} << 10;

  // The error names the line. A text may have longest_text bytes and most_rules rules.
  static Result<FaultRules> parse(std::string_view text);

  std::size_t size() const { return rules_.size(); }
  // Returns the rule that applies to this operation, if any, and counts the operation. A copy,
  // because the rules may be replaced while the operation is held.
  std::optional<FaultRule> draw(const FaultSubject& subject);
  // Whether the rules hold a freeze for such an operation, whatever its counts and chances are.
  bool freezes(const FaultSubject& subject, bool after) const;

 private:
  std::vector<FaultRule> rules_;
  std::minstd_rand random_{1};
};

}  // namespace ballast::backend
