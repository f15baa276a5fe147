// SPDX-License-Identifier: Apache-2.0
#include "lib/write_log/index.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "lib/base/assert.h"

namespace ballast::write_log {

void Index::reserve(std::size_t inserts) {
  constexpr std::size_t most_runs_each = 2;
  const std::size_t wanted = inserts * most_runs_each;
  if (spares_.capacity() < wanted) {
    spares_.reserve(2 * wanted);
  }
  while (spares_.size() < wanted) {
    Runs one;
    one.emplace();
    spares_.push_back(one.extract(one.begin()));
  }
}

void Index::put(Lba lba, const Run& run) {
  if (spares_.empty()) {
    runs_.emplace(lba, run);
    return;
  }
  Runs::node_type node = std::move(spares_.back());
  spares_.pop_back();
  node.key() = lba;
  node.mapped() = run;
  runs_.insert(std::move(node));
}

void Index::insert(Lba lba, BlockCount blocks, const Source& source) {
  BALLAST_ASSERT(blocks.value() > 0);
  BALLAST_ASSERT(source.sequence >= newest_);
  newest_ = source.sequence;
  clear(lba, lba + blocks);
  put(lba, Run{lba + blocks, source});
}

// Cuts [lba, end) out of the runs.
void Index::clear(Lba lba, Lba end) {
  auto run = runs_.lower_bound(lba);
  if (run != runs_.begin()) {
    auto& [first, before] = *std::prev(run);
    if (before.end > end) {
      put(end, Run{before.end, behind(before.source, end - first)});
    }
    before.end = std::min(before.end, lba);
  }
  while (run != runs_.end() && run->first < end) {
    if (run->second.end > end) {
      put(end, Run{run->second.end, behind(run->second.source, end - run->first)});
    }
    run = runs_.erase(run);
  }
}

Index::Piece Index::first_piece(Lba lba, BlockCount blocks) const {
  BALLAST_ASSERT(blocks.value() > 0);
  const Lba end = lba + blocks;
  const auto next = runs_.upper_bound(lba);
  if (next != runs_.begin()) {
    const auto& [first, run] = *std::prev(next);
    if (run.end > lba) {
      return {.lba = lba,
              .blocks = std::min(end, run.end) - lba,
              .in = run.source.payload == 0 ? In::zeros : In::log,
              .source = behind(run.source, lba - first)};
    }
  }
  const Lba until = next == runs_.end() ? end : std::min(end, next->first);
  return {.lba = lba, .blocks = until - lba};
}

bool Index::covers(Lba lba, BlockCount blocks) const {
  const Lba end = lba + blocks;
  while (lba < end) {
    const Piece piece = first_piece(lba, end - lba);
    if (piece.in == In::store) {
      return false;
    }
    lba = piece.lba + piece.blocks;
  }
  return true;
}

void Index::trim(Lba lba, BlockCount blocks, std::uint64_t sequence) {
  auto run = runs_.lower_bound(lba);
  if (run != runs_.begin() && std::prev(run)->second.end > lba) {
    --run;
  }
  while (run != runs_.end() && run->first < lba + blocks) {
    if (run->second.source.sequence <= sequence) {
      run = runs_.erase(run);
    } else {
      ++run;
    }
  }
}

}  // namespace ballast::write_log
