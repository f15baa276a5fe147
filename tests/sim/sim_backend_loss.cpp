// SPDX-License-Identifier: Apache-2.0
// What a store on another machine does to its client: the connection is lost, or another client
// takes the store over; and the bugs that a test may put in.
#include <algorithm>
#include <utility>

#include "lib/co/sleep.h"
#include "tests/sim/sim_running.h"

namespace ballast::sim {
namespace {

constexpr Nanoseconds longest_haunting = std::chrono::seconds{4};

}  // namespace

void SimBackend::lose_connection() {
  verdict_.trace(executor_.now(), "the connection to the store is lost");
  for (Running* const running : running_) {
    running->again = true;
    running->go.set();
  }
}

void SimBackend::fence() {
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

void SimBackend::haunt(const Running& running) {
  std::vector<std::byte> data(running.what.count * block_size);
  io::copy(data, running.buffer);
  ghosts_.spawn("ghost", land_late(executor_, this, running.what, std::move(data)));
}

co::Task<void> SimBackend::land_late(co::Executor& executor, SimBackend* store, Op op,
                                     std::vector<std::byte> data) {
  co_await co::sleep_for(executor, store->draw(Nanoseconds{}, longest_haunting));
  store->verdict_.trace(executor.now(), "  a late write lands: {}+{}", op.first, op.count);
  for (std::uint32_t i = 0; i < op.count; ++i) {
    const std::span<std::byte> memory = store->memory_of(op.first + i);
    std::ranges::copy(std::span{data}.subspan(i * block_size, block_size), memory.begin());
    store->landings_[op.first + i].push_back(Landing{Content::of(memory), ++store->last_landing_});
  }
}

}  // namespace ballast::sim
