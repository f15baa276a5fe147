// SPDX-License-Identifier: Apache-2.0
// Takes any bytes as the control file of the fault backend. What is refused must be refused in one
// clean line; what is accepted must be a set of rules that operations can meet.
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "lib/backend/fault_rules.h"
#include "tests/fuzz/check.h"

using namespace ballast;
using namespace ballast::backend;

namespace {

constexpr OpKind kinds[] = {OpKind::read,    OpKind::write, OpKind::zero,
                            OpKind::discard, OpKind::flush, OpKind::block_status};

void meet(FaultRules rules, const std::string& text) {
  test::check(rules.size() <= FaultRules::most_rules, "too many rules", text);
  for (std::uint64_t round = 0; round < 3; ++round) {
    for (const OpKind kind : kinds) {
      const FaultSubject subject{kind, Lba{round * 2048},
                                 BlockCount{kind == OpKind::flush ? 0U : 8U}};
      (void)rules.freezes(subject, false);
      const std::optional<FaultRule> rule = rules.draw(subject);
      if (!rule.has_value()) {
        continue;
      }
      if (rule->effect == FaultRule::Effect::error) {
        test::check(!ok(rule->error_of(kind)), "an error that is none", text);
      }
      test::check(rule->delay >= Nanoseconds{}, "a delay below zero", text);
      test::check(
          rule->effect != FaultRule::Effect::block || rule->delay <= FaultRule::longest_block,
          "the LUN's thread sleeps for too long", text);
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* input, std::size_t size) {
  const std::string text{reinterpret_cast<const char*>(input), size};
  Result<FaultRules> rules = FaultRules::parse(text);
  if (rules.ok()) {
    meet(std::move(rules).value(), text);
  } else {
    test::check(rules.error().errno_value != 0, "no errno", text);
    test::check_sentence(rules.error().message, 2000 + 8 * text.size());
  }
  return 0;
}
