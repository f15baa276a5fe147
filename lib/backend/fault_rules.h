// SPDX-License-Identifier: Apache-2.0
// The rules of the fault backend: a small text, one rule a line, the first that matches wins.
//
//   <operation>[,<operation>…] <what happens> [<condition>…]
//
//   # one write in ten is late, but only there
//   write delay=2s chance=10% lba=2048-4095
//   read,flush error=medium_error first=3
//   all freeze
//
// Operations   read write zero discard flush block_status, or all of these; and resize
// Happens      delay=<duration>   as lib/base/values.h: 500ms, 20s, 2min
//              error=<status>     medium_error no_space no_resource not_ready write_protected
//                                 not_supported, as far as the operation may answer so
//              error=<errno>      EIO, ENOSPC, EROFS and all others of errno(3): what the operation
//                                 makes of it (op_status.h)
//              freeze             until a text is applied in which no freeze matches any more
// Conditions   first=<n>          the first n operations that match
//              every=<n>          each nth that matches
//              chance=<n>%        drawn, 1 to 100
//              lba=<a>-<b>        it touches a logical block from a to b; never true of flush
//              after              the operation is done first, then its answer is delayed, frozen,
//                                 or replaced (by medium_error only: the others promise that
//                                 nothing was done)
//              cancellable        a delay or freeze ends early, with nothing done, when the command
//                                 is asked to end; real storage that hangs mostly cannot do that
//              stubborn           a delay or freeze is not even ended by closing the LUN
// Besides      # comment, empty lines
//              seed <n>           what chance draws from; 1 unless given
//              thaw               nothing; a text of this line alone says what it is for
//
// Counts begin anew whenever a text is applied. A text with a bad line is refused as a whole. Pure
// functions and values; one thread.
#pragma once

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
  enum class Effect : std::uint8_t { delay, error, freeze };
  unsigned operations = 0;  // bit 1 << OpKind
  Effect effect = Effect::delay;
  bool after = false;
  bool cancellable = false;
  bool stubborn = false;
  Nanoseconds delay{};
  IoStatus status = IoStatus::medium_error;
  int errno_value = 0;      // above 0: instead of `status`
  std::uint64_t first = 0;  // 0: no such condition, here and below
  std::uint64_t every = 0;
  unsigned chance_percent = 0;
  std::optional<Lba> first_lba;  // both or none
  std::optional<Lba> last_lba;
  std::uint64_t matched = 0;  // so far

  // How an operation of this kind ends, if the rule is an error.
  IoStatus error_of(OpKind kind) const {
    return errno_value > 0 ? status_from_errno(kind, errno_value) : status;
  }
};

// One operation as the rules see it.
struct FaultSubject {
  OpKind kind;
  Lba lba;           // first logical block
  BlockCount count;  // 0: no range
};

class FaultRules {
 public:
  static constexpr std::size_t most_rules = 64;
  static constexpr std::size_t longest_text = std::size_t{16} << 10;

  // The error names the line.
  static Result<FaultRules> parse(std::string_view text);

  std::size_t size() const { return rules_.size(); }
  // What happens to this operation; counts it. A copy: the rules may be replaced meanwhile.
  std::optional<FaultRule> draw(const FaultSubject& subject);
  // Whether a freeze is written for such an operation, whatever counts and chances say.
  bool freezes(const FaultSubject& subject, bool after) const;

 private:
  std::vector<FaultRule> rules_;
  std::minstd_rand random_{1};
};

}  // namespace ballast::backend
