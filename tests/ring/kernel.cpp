// SPDX-License-Identifier: Apache-2.0
#include "tests/ring/kernel.h"

#include <dlfcn.h>
#include <liburing.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <utility>

#include "lib/base/assert.h"

namespace ballast::ring_test::kernel {
namespace {

struct Rule {
  bool hangs = false;
  int errno_value = 0;
};

struct State {
  std::mutex mutex;
  std::condition_variable changed;
  bool submissions_hang = false;
  std::map<What, Rule> rules;
  std::vector<std::string> sleepers;
  // By ring and user_data: what the operation's completion is to say instead.
  struct Instead {
    int result = 0;
    bool hangs = false;
  };
  std::map<std::pair<int, std::uint64_t>, Instead> instead;
  std::size_t hanging = 0;
  std::size_t cancels = 0;
  // Readable once what hangs may go on; each release() has a new one, and the old ones stay open:
  // the kernel may still look at them.
  int gate = ::eventfd(0, EFD_CLOEXEC);
};

State& state() {
  static State& the_one = *new State;
  return the_one;
}

std::optional<What> what_is(std::uint8_t opcode) {
  switch (opcode) {
    case IORING_OP_READ:
    case IORING_OP_READV:
    case IORING_OP_READ_FIXED:
      return What::read;
    case IORING_OP_WRITE:
    case IORING_OP_WRITEV:
    case IORING_OP_WRITE_FIXED:
      return What::write;
    case IORING_OP_FSYNC:
      return What::sync;
    case IORING_OP_FALLOCATE:
      return What::allocate;
    default:
      return std::nullopt;
  }
}

// Turns an entry that a rule is about into one that hangs, or that does nothing. Mutex held.
void twist(const io_uring& ring, io_uring_sqe& sqe) {
  State& s = state();
  const std::uint64_t id = sqe.user_data;
  if (sqe.opcode == IORING_OP_ASYNC_CANCEL && s.instead.contains({ring.ring_fd, sqe.addr})) {
    ++s.cancels;
    sqe = {};
    io_uring_prep_nop(&sqe);
    sqe.user_data = id;
    s.instead[{ring.ring_fd, id}] = {-EALREADY};
    return;
  }
  const std::optional<What> what = what_is(sqe.opcode);
  const auto rule = what.has_value() ? s.rules.find(*what) : s.rules.end();
  if (rule == s.rules.end()) {
    return;
  }
  // liburing 2.9 sets only the fields that an operation needs.
  sqe = {};
  if (rule->second.hangs) {
    io_uring_prep_poll_add(&sqe, s.gate, POLLIN);
    s.instead[{ring.ring_fd, id}] = {-EAGAIN, true};  // "begin it anew"
    ++s.hanging;
  } else {
    io_uring_prep_nop(&sqe);
    s.instead[{ring.ring_fd, id}] = {-rule->second.errno_value};
  }
  sqe.user_data = id;
}

void before_submission(io_uring* ring) {
  State& s = state();
  std::unique_lock lock{s.mutex};
  if (s.submissions_hang) {
    char name[16] = "";
    (void)::pthread_getname_np(::pthread_self(), name, sizeof name);
    s.sleepers.emplace_back(name);
    s.changed.wait(lock, [&s] { return !s.submissions_hang; });
  }
  const unsigned mask = *ring->sq.kring_mask;
  for (unsigned at = ring->sq.sqe_head; at != ring->sq.sqe_tail; ++at) {
    twist(*ring, ring->sq.sqes[at & mask]);
  }
}

void after_completion(const io_uring& ring, io_uring_cqe& cqe) {
  State& s = state();
  const std::lock_guard lock{s.mutex};
  const auto found = s.instead.find({ring.ring_fd, cqe.user_data});
  if (found != s.instead.end()) {
    s.hanging -= found->second.hangs ? 1U : 0U;
    cqe.res = found->second.result;
    s.instead.erase(found);
  }
}

// Not RTLD_NEXT: the library came with the plugin, which keeps its symbols to itself.
template <class Function>
Function real(const char* name) {
  static void* const library = ::dlopen("liburing.so.2", RTLD_LAZY | RTLD_LOCAL);
  BALLAST_ASSERT(library != nullptr);
  const auto function = reinterpret_cast<Function>(::dlsym(library, name));
  BALLAST_ASSERT(function != nullptr);
  return function;
}

// Mutex held.
void let_go() {
  State& s = state();
  s.submissions_hang = false;
  s.rules.clear();
  s.changed.notify_all();
  const std::uint64_t one = 1;
  BALLAST_ASSERT(::write(s.gate, &one, sizeof one) == sizeof one);
  s.gate = ::eventfd(0, EFD_CLOEXEC);
}

}  // namespace

void hang_submissions() {
  const std::lock_guard lock{state().mutex};
  state().submissions_hang = true;
}

void hang(What what) {
  const std::lock_guard lock{state().mutex};
  state().rules[what] = Rule{.hangs = true};
}

void fail(What what, int errno_value) {
  const std::lock_guard lock{state().mutex};
  state().rules[what] = Rule{.errno_value = errno_value};
}

void release() {
  const std::lock_guard lock{state().mutex};
  let_go();
}

void release_failing(int errno_value) {
  const std::lock_guard lock{state().mutex};
  for (auto& [operation, instead] : state().instead) {
    instead.result = instead.hangs ? -errno_value : instead.result;
  }
  let_go();
}

std::vector<std::string> take_sleepers() {
  const std::lock_guard lock{state().mutex};
  return std::exchange(state().sleepers, {});
}

std::size_t hanging() {
  const std::lock_guard lock{state().mutex};
  return state().hanging;
}

std::size_t take_cancels() {
  const std::lock_guard lock{state().mutex};
  return std::exchange(state().cancels, 0);
}

}  // namespace ballast::ring_test::kernel

extern "C" [[gnu::visibility("default")]] int io_uring_submit(io_uring* ring) {
  namespace kernel = ballast::ring_test::kernel;
  static const auto submit = kernel::real<int (*)(io_uring*)>("io_uring_submit");
  kernel::before_submission(ring);
  return submit(ring);
}

extern "C" [[gnu::visibility("default")]] unsigned io_uring_peek_batch_cqe(io_uring* ring,
                                                                           io_uring_cqe** cqes,
                                                                           unsigned count) {
  namespace kernel = ballast::ring_test::kernel;
  static const auto peek =
      kernel::real<unsigned (*)(io_uring*, io_uring_cqe**, unsigned)>("io_uring_peek_batch_cqe");
  const unsigned found = peek(ring, cqes, count);
  for (unsigned i = 0; i < found; ++i) {
    kernel::after_completion(*ring, *cqes[i]);
  }
  return found;
}
