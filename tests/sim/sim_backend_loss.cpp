// SPDX-License-Identifier: Apache-2.0
// What a store on another machine does to its client: the connection is lost, the server restarts,
// or another client takes the store over; and the bugs that a test may put in.
#include <algorithm>
#include <utility>

#include "lib/co/sleep.h"
#include "tests/sim/sim_running.h"

namespace ballast::sim {
namespace {

constexpr Nanoseconds longest_haunting = std::chrono::seconds{12};

}  // namespace

void SimBackend::play(Engine engine, StoreWatcher& watcher,
                      std::shared_ptr<backend::UnheardFlush> unheard_flush) {
  engine_ = engine;
  watcher_ = &watcher;
  unheard_flush_ = std::move(unheard_flush);
}

void SimBackend::lose_connection() {
  BALLAST_ASSERT(engine_ == Engine::nbd);
  verdict_.trace(executor_.now(), "the connection to the store is lost");
  if (!capabilities_.exclusive || sabotage_.trusts_shared_server) {
    for (const Running* const running : running_) {
      leave_behind(*running);
    }
  }
  client_loses_connection();
}

void SimBackend::restart() {
  BALLAST_ASSERT(engine_ == Engine::nbd);
  verdict_.trace(executor_.now(), "the server restarts");
  ++restarts_;
  lose_landings();
  client_loses_connection();
}

void SimBackend::lose_cache() {
  verdict_.trace(executor_.now(), "the store loses its cache");
  lose_landings();
}

void SimBackend::get_log() {
  if (unheard_flush_->load(std::memory_order_relaxed) != IoStatus::ok) {
    lost_before_log_ = completed_;
  }
}

void SimBackend::lose_landings() {
  const bool all = random_.chance(1, 3);
  for (std::uint32_t block = 0; block < most_blocks; ++block) {
    lose_landings(block, all);
  }
}

// Each landing that is not safe is lost or kept, as it comes. The block holds the newest that is
// kept; it is on the medium now.
void SimBackend::lose_landings(std::uint32_t block, bool all) {
  Landing before{Content{}, 0};
  Landing kept = before;
  for (const Landing& landing : landings_[block]) {
    if (landing.lost) {
      continue;
    }
    before = landing;
    const bool safe = landing.number <= durable_[block] && !sabotage_.loses_safe_data;
    if (safe || (!all && random_.chance(1, 2))) {
      kept = landing;
    }
  }
  for (Landing& landing : landings_[block]) {
    landing.lost = landing.lost || landing.number > kept.number;
  }
  durable_[block] = std::max(durable_[block], kept.number);
  if (completed_[block] > kept.number) {
    lost_[block] = std::max(lost_[block], completed_[block]);
  }
  if (!kept.content.is_torn()) {
    kept.content.put(memory_of(block));
  }
  if (kept.number < before.number) {
    disturbed_[block] = ++last_landing_;
    verdict_.trace(executor_.now(), "  block {} was {}, and is {}", block, before.content.name(),
                   kept.content.name());
    watcher_->lost(block, before.content, kept.content, kept.number);
  }
}

void SimBackend::client_loses_connection() {
  if (in_use_ && unflushed()) {
    watcher_->flushes_must_fail();
    lost_up_to_ = acknowledged_;
    flushes_end_ = sabotage_.forgets_losses ? IoStatus::ok : IoStatus::medium_error;
  }
  for (Running* const running : running_) {
    running->again = true;
    running->go.set();
  }
}

// An operation has ended.
void SimBackend::note_client(const Running& running) {
  const Op& op = ops_[running.number];
  if (op.kind == OpKind::flush) {
    const bool tells = ok(op.status) || op.status == IoStatus::medium_error;
    told_up_to_ = tells ? std::max(told_up_to_, running.acknowledged) : told_up_to_;
    flushed_ = ok(op.status) ? std::max(flushed_, running.acknowledged) : flushed_;
  } else if (changes(op.kind) && ok(op.status) && !op.fua && capabilities_.volatile_cache) {
    ++acknowledged_;
  }
}

// An operation lands on a block that the store has changed on its own account meanwhile. It may
// have landed before that as well, and a COMPARE AND WRITE has compared before its write began.
void SimBackend::tell_again(const Running& running, std::uint32_t block, Content now) {
  const bool meanwhile = disturbed_[block] > running.last_before;
  if (meanwhile || (running.once && disturbed_[block] > 0)) {
    watcher_->landed_again(block, now);
  }
}

// What the client does when it closes. Then nobody is there to notice that the server restarts, so
// it flushes what it can, and leaves word for the next client of what may be lost.
co::Task<void> SimBackend::end_connection() {
  if (engine_ != Engine::nbd || sabotage_.closes_silently) {
    co_return;
  }
  bool lost = flushes_fail() && lost_up_to_ > told_up_to_;
  if (unflushed()) {
    flushes_end_ = IoStatus::ok;
    const IoStatus status = co_await run(Op{.kind = OpKind::flush}, io::SgView{}, {});
    lost |= !ok(status);
  }
  if (lost) {
    left_word_ = true;
    unheard_flush_->store(IoStatus::medium_error, std::memory_order_relaxed);
  }
}

void SimBackend::fence() {
  BALLAST_ASSERT(engine_ == Engine::owned);
  verdict_.trace(executor_.now(), "fence");
  fenced_ = true;
  for (Running* const running : running_) {
    if (sabotage_.lands_after_fence && running->what.kind == OpKind::write) {
      haunt(*running);
    }
    running->go.set();
  }
}

// Whether the operation ends now because of a fence or a lost connection.
bool SimBackend::is_over(Running* running) {
  if (fenced_) {
    running->fate = IoStatus::not_ready;
  } else if (running->what.kind == OpKind::flush && flushes_fail()) {
    running->fate = flushes_end_;
  } else if (running->again && running->once) {
    running->fate = IoStatus::medium_error;
  } else {
    return false;
  }
  return true;
}

// What the client is told of an operation that has ended.
IoStatus SimBackend::sabotaged(const Running& running) {
  Op& op = ops_[running.number];
  if (sabotage_.repeats_comparisons && running.once && ok(op.status)) {
    haunt(running);
  }
  if (sabotage_.hides_lost_data && op.kind == OpKind::flush &&
      op.status == IoStatus::medium_error) {
    op.status = IoStatus::ok;
  }
  return op.status;
}

// --- what lands late

void SimBackend::haunt(const Running& running) {
  Late late{.op = running.what, .data{}, .blocks{}, .allowed = false};
  for (std::uint32_t i = 0; i < running.what.count; ++i) {
    late.blocks.push_back(i);
  }
  late.data.resize(running.what.count * block_size);
  io::copy(late.data, running.buffer);
  ghosts_.spawn("ghost", land_late(executor_, this, std::move(late)));
}

// The server has the request, perhaps, and does not care that the connection is gone.
void SimBackend::leave_behind(const Running& running) {
  Late late{.op = running.what, .data{}, .blocks{}, .allowed = !capabilities_.exclusive};
  for (std::uint32_t i = 0; i < running.what.count; ++i) {
    if (running.step_of[i] >= running.landings && running.step_of[i] < running.steps) {
      late.blocks.push_back(i);
    }
  }
  const bool never_came = random_.chance(1, 3);
  if (!changes(running.what.kind) || late.blocks.empty() || never_came) {
    return;
  }
  late.data.resize(running.what.count * block_size);
  if (running.what.kind == OpKind::write) {
    io::copy(late.data, running.buffer);
  }
  ghosts_.spawn("a request of a lost connection", land_late(executor_, this, std::move(late)));
}

co::Task<void> SimBackend::land_late(co::Executor& executor, SimBackend* store, Late late) {
  const std::uint64_t restarts = store->restarts_;
  co_await co::sleep_for(executor, store->draw(Nanoseconds{}, longest_haunting));
  for (const std::uint32_t index : late.blocks) {
    if (store->temper_.longest > Nanoseconds{}) {
      co_await co::sleep_for(executor, store->draw(Nanoseconds{}, store->temper_.longest));
    }
    if (store->restarts_ != restarts) {
      co_return;
    }
    const std::uint32_t block = late.op.first + index;
    const std::span<std::byte> memory = store->memory_of(block);
    std::ranges::copy(std::span{late.data}.subspan(index * block_size, block_size), memory.begin());
    const Content now = Content::of(memory);
    store->verdict_.trace(executor.now(), "  block {} becomes {}, late", block, now.name());
    store->landings_[block].push_back(Landing{now, ++store->last_landing_});
    if (late.allowed) {
      store->disturbed_[block] = store->last_landing_;
      store->watcher_->landed_late(block, now);
    }
  }
}

}  // namespace ballast::sim
