// SPDX-License-Identifier: Apache-2.0
#include "lib/backend/fault_rules.h"

#include <fmt/format.h>

#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "lib/base/values.h"

namespace ballast::backend {
namespace {

using config::quote;

constexpr unsigned bit(OpKind kind) {
  return 1U << static_cast<unsigned>(kind);
}

struct OperationWord {
  std::string_view word;
  unsigned operations;
};
constexpr std::array operation_words{
    OperationWord{to_string(OpKind::read), bit(OpKind::read)},
    OperationWord{to_string(OpKind::write), bit(OpKind::write)},
    OperationWord{to_string(OpKind::zero), bit(OpKind::zero)},
    OperationWord{to_string(OpKind::discard), bit(OpKind::discard)},
    OperationWord{to_string(OpKind::flush), bit(OpKind::flush)},
    OperationWord{to_string(OpKind::block_status), bit(OpKind::block_status)},
    OperationWord{to_string(OpKind::resize), bit(OpKind::resize)},
    OperationWord{"all", 0x3f},
};
struct StatusWord {
  std::string_view word;
  IoStatus status;
};
constexpr std::array status_words{
    StatusWord{"medium_error", IoStatus::medium_error},
    StatusWord{"no_space", IoStatus::no_space},
    StatusWord{"no_resource", IoStatus::no_resource},
    StatusWord{"not_ready", IoStatus::not_ready},
    StatusWord{"write_protected", IoStatus::write_protected},
    StatusWord{"not_supported", IoStatus::not_supported},
};

// Whether `holds` is true of each of the rule's operations.
template <class Holds>
bool of_each_operation(const FaultRule& rule, Holds holds) {
  for (const OperationWord& known : operation_words) {
    const auto kind = static_cast<OpKind>(std::countr_zero(known.operations));
    const bool one = std::has_single_bit(known.operations);
    if (one && (rule.operations & known.operations) != 0 && !holds(kind)) {
      return false;
    }
  }
  return true;
}

template <class... Args>
Error invalid(fmt::format_string<Args...> format, Args&&... args) {
  return Error{EINVAL, fmt::format(format, std::forward<Args>(args)...)};
}

// Removes the next word from `line` and returns it; empty if there is none.
std::string_view next_word(std::string_view& line, std::string_view separators) {
  const std::size_t begin = std::min(line.find_first_not_of(separators), line.size());
  const std::size_t end = std::min(line.find_first_of(separators, begin), line.size());
  const std::string_view word = line.substr(begin, end - begin);
  line.remove_prefix(end);
  return word;
}

constexpr std::string_view blanks = " \t\r";

Result<unsigned> parse_operations(std::string_view words) {
  unsigned operations = 0;
  for (std::string_view word = next_word(words, ","); !word.empty(); word = next_word(words, ",")) {
    unsigned found = 0;
    for (const OperationWord& known : operation_words) {
      found |= word == known.word ? known.operations : 0;
    }
    if (found == 0) {
      return invalid(
          "unknown operation {}: known are read, write, zero, discard, flush, "
          "block_status, resize and all",
          quote(word));
    }
    operations |= found;
  }
  return operations;
}

// Returns the errno value with this name; 0 if there is none.
int errno_called(std::string_view name) {
  constexpr int most = 133;  // EHWPOISON, the highest errno value of Linux
  for (int value = 1; value <= most; ++value) {
    const char* const its = ::strerrorname_np(value);
    if (its != nullptr && name == its) {
      return value;
    }
  }
  return 0;
}

Result<void> parse_effect(std::string_view word, FaultRule& rule) {
  if (word == "freeze") {
    rule.effect = FaultRule::Effect::freeze;
    return {};
  }
  if (word.starts_with("delay=")) {
    const Result<Nanoseconds> delay = config::parse_duration("delay", word.substr(6));
    if (!delay) {
      return delay.error();
    }
    rule.effect = FaultRule::Effect::delay;
    rule.delay = delay.value();
    return {};
  }
  if (word.starts_with("block=")) {
    const Result<Nanoseconds> time = config::parse_duration("block", word.substr(6));
    if (!time) {
      return time.error();
    }
    if (time.value() > FaultRule::longest_block) {
      return invalid("{} is too long: the whole LUN stands still, for {} at most", word,
                     config::format_duration(FaultRule::longest_block));
    }
    rule.effect = FaultRule::Effect::block;
    rule.delay = time.value();
    return {};
  }
  if (!word.starts_with("error=")) {
    return invalid("{} is not an effect: write delay=, error=, block= or freeze", quote(word));
  }
  rule.effect = FaultRule::Effect::error;
  for (const StatusWord& known : status_words) {
    if (word.substr(6) != known.word) {
      continue;
    }
    if (!of_each_operation(rule, [&](OpKind kind) { return may_end_with(kind, known.status); })) {
      return invalid("not all of these operations can end with {}", known.word);
    }
    rule.status = known.status;
    return {};
  }
  rule.errno_value = errno_called(word.substr(6));
  if (rule.errno_value == 0) {
    return invalid("unknown status {}", quote(word.substr(6)));
  }
  return {};
}

Result<void> parse_range(std::string_view text, FaultRule& rule) {
  const std::size_t dash = text.find('-');
  if (dash == std::string_view::npos) {
    return invalid("lba={} is not a range: write lba=<first>-<last>", quote(text));
  }
  const Result<std::uint64_t> first = config::parse_number("lba", text.substr(0, dash));
  const Result<std::uint64_t> last = config::parse_number("lba", text.substr(dash + 1));
  if (!first || !last) {
    return first ? last.error() : first.error();
  }
  if (first.value() > last.value()) {
    return invalid("lba={} ends before it begins", text);
  }
  rule.first_lba = Lba{first.value()};
  rule.last_lba = Lba{last.value()};
  return {};
}

Result<std::uint64_t> parse_count(std::string_view what, std::string_view text,
                                  std::uint64_t most) {
  Result<std::uint64_t> count = config::parse_number(what, text);
  if (count && (count.value() == 0 || count.value() > most)) {
    return invalid("{}={} is out of range: it may be 1 to {}", what, text, most);
  }
  return count;
}

Result<void> parse_condition(std::string_view word, FaultRule& rule) {
  if (word == "after") {
    rule.after = true;
    return {};
  }
  if (word == "cancellable") {
    rule.cancellable = true;
    return {};
  }
  if (word == "stubborn") {
    rule.stubborn = true;
    return {};
  }
  if (word.starts_with("lba=")) {
    return parse_range(word.substr(4), rule);
  }
  if (word.starts_with("chance=") && word.ends_with('%')) {
    const Result<std::uint64_t> chance =
        parse_count("chance", word.substr(7, word.size() - 8), 100);
    if (!chance) {
      return chance.error();
    }
    rule.chance_percent = static_cast<unsigned>(chance.value());
    return {};
  }
  const bool first = word.starts_with("first=");
  if (!first && !word.starts_with("every=")) {
    return invalid(
        "unknown condition {}: known are first=, every=, chance=…%, lba=, after, "
        "cancellable and stubborn",
        quote(word));
  }
  const Result<std::uint64_t> count =
      parse_count(first ? "first" : "every", word.substr(6), INT64_MAX);
  if (!count) {
    return count.error();
  }
  (first ? rule.first : rule.every) = count.value();
  return {};
}

Result<FaultRule> parse_rule(std::string_view operations, std::string_view line) {
  FaultRule rule;
  const Result<unsigned> found = parse_operations(operations);
  if (!found) {
    return found.error();
  }
  rule.operations = found.value();
  if (const Result<void> effect = parse_effect(next_word(line, blanks), rule); !effect) {
    return effect.error();
  }
  for (std::string_view word = next_word(line, blanks); !word.empty();
       word = next_word(line, blanks)) {
    if (const Result<void> condition = parse_condition(word, rule); !condition) {
      return condition.error();
    }
  }
  if (rule.after && rule.effect == FaultRule::Effect::error &&
      !of_each_operation(
          rule, [&](OpKind kind) { return rule.error_of(kind) == IoStatus::medium_error; })) {
    return invalid(
        "after can be combined with error=medium_error only: the other errors say that nothing was "
        "done");
  }
  const bool can_wait =
      rule.effect == FaultRule::Effect::delay || rule.effect == FaultRule::Effect::freeze;
  if (rule.cancellable && (rule.after || !can_wait)) {
    return invalid("cancellable can be combined with delay and freeze, and not with after");
  }
  if (rule.stubborn && (rule.cancellable || !can_wait)) {
    return invalid("stubborn can be combined with delay and freeze, and not with cancellable");
  }
  return rule;
}

bool concerns(const FaultRule& rule, const FaultSubject& subject) {
  if ((rule.operations & bit(subject.kind)) == 0) {
    return false;
  }
  if (!rule.first_lba.has_value()) {
    return true;
  }
  return subject.count > BlockCount{} && subject.lba <= *rule.last_lba &&
         subject.lba + subject.count > *rule.first_lba;
}

}  // namespace

Result<FaultRules> FaultRules::parse(std::string_view text) {
  if (text.size() > longest_text) {
    return invalid("the rules have {} bytes, and may have {} at most", text.size(), longest_text);
  }
  FaultRules rules;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, std::min(text.find('#'), end));
    text.remove_prefix(std::min(end + 1, text.size()));
    const std::string_view word = next_word(line, blanks);
    if (word.empty() || word == "thaw") {
      continue;
    }
    if (word == "seed") {
      const Result<std::uint64_t> seed = config::parse_number("seed", next_word(line, blanks));
      if (!seed) {
        return invalid("line {}: {}", number, seed.error().message);
      }
      rules.random_.seed(static_cast<std::minstd_rand::result_type>(seed.value()));
      continue;
    }
    const Result<FaultRule> rule = parse_rule(word, line);
    if (!rule) {
      return invalid("line {}: {}", number, rule.error().message);
    }
    if (rules.rules_.size() == most_rules) {
      return invalid("line {}: there are more than {} rules", number, most_rules);
    }
    rules.rules_.push_back(rule.value());
  }
  return rules;
}

std::optional<FaultRule> FaultRules::draw(const FaultSubject& subject) {
  for (FaultRule& rule : rules_) {
    if (!concerns(rule, subject)) {
      continue;
    }
    ++rule.matched;
    const bool counted = (rule.first == 0 || rule.matched <= rule.first) &&
                         (rule.every == 0 || rule.matched % rule.every == 0);
    const bool drawn = rule.chance_percent == 0 || random_() % 100 < rule.chance_percent;
    if (counted && drawn) {
      return rule;
    }
  }
  return std::nullopt;
}

bool FaultRules::freezes(const FaultSubject& subject, bool after) const {
  for (const FaultRule& rule : rules_) {
    if (rule.effect == FaultRule::Effect::freeze && rule.after == after &&
        concerns(rule, subject)) {
      return true;
    }
  }
  return false;
}

}  // namespace ballast::backend
