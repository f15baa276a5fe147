// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/oracle.h"

#include <algorithm>

namespace ballast::sim {
namespace {

using Kind = Wish::Kind;
using scsi::SenseKey;

// Whether it is certain that a change which was not answered GOOD was not done.
bool surely_not_done(const Issued& command) {
  const SenseKey key = command.sense_key();
  if (command.status == scsi::Status::check_condition) {
    return key == SenseKey::illegal_request || key == SenseKey::unit_attention ||
           key == SenseKey::data_protect || command.found_stopped();
  }
  if (command.status == scsi::Status::task_set_full) {
    return command.wish.kind != Kind::unmap && command.wish.kind != Kind::copy &&
           !command.wish.and_verify;
  }
  return command.status == scsi::Status::busy && command.wish.kind == Kind::compare_and_write &&
         !command.while_closing;
}

}  // namespace

void Oracle::reopened() {
  cache_off_since_.reset();
  if (store_.capabilities().write_through && log_ == nullptr) {
    cache_off_since_ = next_moment();
  }
  cache_set_ = 0;
  stopped_ = false;
  stopped_set_ = next_moment();
}

void Oracle::lost(std::uint32_t block, Content before, Content now, std::uint32_t kept) {
  if (kept < promised_[block]) {
    verdict_.complain(
        "block {} is {} again: landing {} is lost, although an answer promised that it was safe",
        block, now.name(), promised_[block]);
  }
  const bool is_known =
      store_.completed(block) <= std::max(excused_[block], store_.lost_before_log(block));
  if (log_ != nullptr && !is_known && !nobody_owns(block, before, now)) {
    return;
  }
  Access access{
      .kind = Access::Kind::lose, .certain = log_ == nullptr, .content = now, .expected = before};
  access.name = "the server, which restarts,";
  add_of_store(block, access);
}

// Whether a log need not have what the store's cache had: changes put it there that failed, after
// the last one that did not. (The store has either what they put, or what was there before.)
bool Oracle::nobody_owns(std::uint32_t block, Content before, Content now) const {
  const Access* owned = nullptr;
  for (const Access& access : accesses_[block]) {
    const bool changes = access.kind == Access::Kind::put || access.kind == Access::Kind::swap;
    if (changes && access.certain && (owned == nullptr || access.ended > owned->ended)) {
      owned = &access;
    }
  }
  const std::uint64_t since = owned == nullptr ? 0 : owned->began;
  const auto failed = [&](Content content) {
    return std::ranges::any_of(accesses_[block], [&](const Access& access) {
      return access.kind == Access::Kind::put && !access.certain && access.ended > since &&
             access.content == content;
    });
  };
  return failed(before) && (failed(now) || now == (owned == nullptr ? Content{} : owned->content));
}

void Oracle::landed_late(std::uint32_t block, Content now) {
  Access access{.content = now};
  access.name = "a request of a lost connection";
  add_of_store(block, access);
  LateLanding late{.block = block, .access = accesses_[block].size() - 1};
  const std::span<const SimBackend::Op> ops = store_.ops();
  for (std::size_t i = 0; i < ops.size(); ++i) {
    if (ops[i].running && ops[i].kind == OpKind::read && ops[i].touches(block, 1)) {
      late.reads.push_back(i);
    }
  }
  late_landings_.push_back(std::move(late));
}

// Since when the block may have been as the command shows it: since it arrived, but a read that it
// has adopted may have been at the store when a request landed late.
std::uint64_t Oracle::shown_since(const Issued& command, std::uint32_t block) const {
  std::uint64_t since = command.began;
  if (command.wish.kind != Kind::read && command.wish.kind != Kind::verify) {
    return since;
  }
  for (const LateLanding& late : late_landings_) {
    const bool shown =
        late.block == block && std::ranges::any_of(late.reads, [&](std::size_t op) {
          return !store_.ops()[op].running && store_.ops()[op].ended == command.answered_at;
        });
    if (shown) {
      since = std::min(since, accesses_[block][late.access].began);
    }
  }
  return since;
}

void Oracle::landed_again(std::uint32_t block, Content now) {
  Access access{.content = now};
  access.name = "an operation that began before";
  add_of_store(block, access);
}

// In a moment of its own.
void Oracle::add_of_store(std::uint32_t block, Access access) {
  access.began = next_moment();
  access.ended = next_moment();
  accesses_[block].push_back(access);
}

void Oracle::arrived(Issued& command) {
  const Kind kind = command.wish.kind;
  // While it is off already nothing has to be done.
  const bool cache_off =
      kind == Kind::mode_select && !command.wish.write_cache && !cache_off_since_.has_value();
  const bool stops = kind == Kind::start_stop && !command.wish.start;
  start_stops_ += kind == Kind::start_stop ? 1U : 0U;
  if (kind == Kind::flush || cache_off || stops || (kind == Kind::read && command.wish.fua)) {
    command.required.assign(acknowledged_.begin(), acknowledged_.end());
    command.log_required = kind == Kind::read ? TimePoint{} : log_written_;
  }
}

void Oracle::answered(const Issued& command) {
  record(command);
  check_stopped(command);
  if (!command.good()) {
    excuse(command);
    return;
  }
  if (log_ == nullptr) {
    check_safety(command);
  } else if (log_->works()) {
    check_safety_of_log(command);
  }
  if (command.wish.changes()) {
    command.wish.for_each_block([&](std::uint32_t block, std::uint32_t) {
      acknowledged_[block] = std::max(acknowledged_[block], store_.completed(block));
    });
  }
  // Of two at once the one that came later counts.
  if (command.wish.kind == Kind::mode_select && command.began > cache_set_) {
    cache_set_ = command.began;
    const bool was_off = cache_off_since_.has_value();
    if (command.wish.write_cache) {
      cache_off_since_.reset();
    } else if (!was_off) {
      cache_off_since_ = command.ended;
    }
  }
}

void Oracle::check_stopped(const Issued& command) {
  const Kind kind = command.wish.kind;
  if (kind == Kind::start_stop) {
    --start_stops_;
    if (command.good()) {
      stopped_ = !command.wish.start;
      stopped_set_ = command.ended;
    }
    return;
  }
  const bool is_known = start_stops_ == 0 && stopped_set_ < command.began;
  if (is_known &&
      (stopped_ ? command.good() && kind != Kind::mode_select : command.found_stopped())) {
    verdict_.complain("command {} {} is answered {} by a LUN that is {}", command.number,
                      command.wish.description(), command.outcome(),
                      stopped_ ? "stopped" : "not stopped");
  }
}

// Told that a flush failed, the initiator knows that what was acknowledged may be gone.
void Oracle::excuse(const Issued& command) {
  const Wish& wish = command.wish;
  const std::span<const SimBackend::Op> ops = store_.ops();
  const bool just_flushed = std::any_of(ops.rbegin(), ops.rend(), [&](const SimBackend::Op& op) {
    return op.kind == OpKind::flush && !op.running && op.ended == command.answered_at;
  });
  const bool flushes = wish.kind == Kind::flush || wish.kind == Kind::mode_select ||
                       wish.kind == Kind::start_stop || wish.fua || wish.and_verify ||
                       (wish.changes() && just_flushed);
  if (!flushes || command.status != scsi::Status::check_condition ||
      command.sense_key() != SenseKey::medium_error) {
    return;
  }
  for (std::uint32_t block = 0; block < most_blocks; ++block) {
    excused_[block] = std::max(excused_[block], store_.lost(block));
  }
}

void Oracle::record(const Issued& command) {
  const Wish& wish = command.wish;
  if (command.miscompared() && !wish.and_verify) {
    record_miscompare(command);
    return;
  }
  if (wish.changes() && !command.good() && surely_not_done(command)) {
    return;
  }
  wish.for_each_block([&](std::uint32_t block, std::uint32_t index) {
    Access access{.certain = command.good()};
    if (wish.kind == Kind::compare_and_write) {
      access.kind = lost_during(command, block) ? Access::Kind::put : Access::Kind::swap;
      access.expected = wish.expected[index];
      access.content = wish.data[index];
    } else if (wish.changes()) {
      access.kind = Access::Kind::put;
      access.content = wish.put(index);
      access.certain = command.good() && (wish.kind != Kind::unmap || command.unmapped_are_zeros);
    } else if (!command.good() || (wish.kind != Kind::read && wish.expected.empty())) {
      return;
    } else {
      access.kind = Access::Kind::get;
      access.content = wish.kind == Kind::read ? command.found[index] : wish.expected[index];
    }
    add(command, block, access);
  });
}

// Whether the server forgot what the block had while the command was under way. Then a COMPARE AND
// WRITE may compare before that and write after it: one with a volatile cache promises no more.
bool Oracle::lost_during(const Issued& command, std::uint32_t block) const {
  const std::vector<Access>& all = accesses_[block];
  return std::any_of(all.begin(), all.end(), [&](const Access& access) {
    return access.kind == Access::Kind::lose && access.ended > command.began;
  });
}

void Oracle::record_miscompare(const Issued& command) {
  const Wish& wish = command.wish;
  const std::uint32_t at = command.information() / block_size;
  if ((wish.kind != Kind::compare_and_write && wish.kind != Kind::verify) ||
      at >= wish.expected.size()) {
    verdict_.complain("command {} {} miscompares at byte {}", command.number, wish.description(),
                      command.information());
    return;
  }
  for (std::uint32_t i = 0; i <= at; ++i) {
    Access access{.kind = i < at ? Access::Kind::get : Access::Kind::differs};
    access.content = wish.expected[i];
    access.expected = wish.expected[i];
    add(command, wish.range().lba + i, access);
  }
}

void Oracle::add(const Issued& command, std::uint32_t block, Access access) {
  access.began = shown_since(command, block);
  access.ended = command.ended;
  access.command = command.number;
  access.name = command.wish.name();
  accesses_[block].push_back(access);
}

bool Oracle::must_be_safe(const Issued& command) const {
  return command.wish.fua || command.wish.and_verify ||
         (cache_off_since_.has_value() && *cache_off_since_ < command.began);
}

void Oracle::check_safety(const Issued& command) {
  const Wish& wish = command.wish;
  if (!command.required.empty()) {
    if (unsafe_since_.has_value() && *unsafe_since_ < command.began) {
      verdict_.complain(
          "command {} {} is answered GOOD, although the connection was lost while acknowledged "
          "data was not safe",
          command.number, wish.description());
    }
    for (std::uint32_t block = 0; block < most_blocks; ++block) {
      const bool mine = wish.kind != Kind::read || wish.range().touches(Range{block, 1});
      if (!mine || command.required[block] <= excused_[block]) {
        continue;
      }
      promise(block, command.required[block]);
      if (store_.durable(block) < command.required[block]) {
        verdict_.complain(
            "command {} {} is answered GOOD, but block {} is not safe: landing {} was acknowledged "
            "before it came, and {} is the newest on the medium",
            command.number, wish.description(), block, command.required[block],
            store_.durable(block));
      }
    }
  }
  if (!wish.changes() || (wish.kind == Kind::unmap && !command.unmapped_are_zeros)) {
    return;
  }
  wish.for_each_block([&](std::uint32_t block, std::uint32_t index) {
    const std::uint32_t landing = store_.first_landing(block, wish.put(index));
    if (landing == 0) {
      verdict_.complain("command {} {} is answered GOOD, but nothing of it came to block {}",
                        command.number, wish.description(), block);
    } else if (must_be_safe(command)) {
      promise(block, landing);
      if (store_.durable(block) < landing) {
        verdict_.complain("command {} {} is answered GOOD, but block {} is not safe",
                          command.number, wish.description(), block);
      }
    }
  });
}

void Oracle::check_safety_of_log(const Issued& command) {
  TimePoint required = command.log_required;
  if (command.wish.changes()) {
    const std::optional<TimePoint> written = log_->written_since(command.arrived);
    if (!written.has_value()) {
      verdict_.complain("command {} {} is answered GOOD, and the log has nothing of it",
                        command.number, command.wish.description());
      return;
    }
    log_written_ = std::max(log_written_, *written);
    required = must_be_safe(command) ? *written : required;
  }
  if (!log_->flushed_since(required)) {
    verdict_.complain("command {} {} is answered GOOD, but the log's disk was not flushed for it",
                      command.number, command.wish.description());
  }
}

void Oracle::judge() {
  for (std::uint32_t block = 0; block < most_blocks; ++block) {
    const std::vector<Access>& accesses = accesses_[block];
    const Finding finding = sim::judge(accesses, Content{});
    undecided_ += finding.judgement == Judgement::undecided ? 1 : 0;
    if (finding.judgement != Judgement::wrong) {
      continue;
    }
    std::string text = fmt::format("block {} cannot have behaved so:", block);
    for (const std::string& line : neighbourhood(accesses, finding.access)) {
      text += "\n      " + line;
    }
    verdict_.add("block", std::move(text));
  }
}

}  // namespace ballast::sim
