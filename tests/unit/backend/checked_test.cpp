// SPDX-License-Identifier: Apache-2.0
// A breach of the contract, on either side, stops the process. Calls that keep it pass through.
#include "lib/backend/checked.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>

#include "lib/backend/memory.h"
#include "lib/backend/op_errors.h"
#include "tests/unit/backend/lab.h"

#include "tests/cmocka.h"

using namespace ballast;
using namespace ballast::backend;
using namespace ballast::test;

namespace {

constexpr Bytes size{std::uint64_t{64} << 10};

// A backend that answers whatever it is told to.
class Liar final : public Backend {
 public:
  explicit Liar(co::Executor& executor) : executor_{executor} {}
  co::Executor& executor() override { return executor_; }
  const Geometry& geometry() const override { return geometry_; }
  const Capabilities& capabilities() const override { return capabilities_; }
  std::string description() const override { return "liar"; }
  co::Task<IoStatus> read(Bytes, io::SgView, co::CancelToken) override { co_return answer; }
  co::Task<IoStatus> write(Bytes, io::SgView, Fua, co::CancelToken) override { co_return answer; }
  co::Task<IoStatus> zero(Bytes, Bytes, MayUnmap, co::CancelToken) override { co_return answer; }
  co::Task<IoStatus> discard(Bytes, Bytes, co::CancelToken) override { co_return answer; }
  co::Task<IoStatus> flush(co::CancelToken) override { co_return answer; }
  co::Task<IoStatus> block_status(Bytes, Bytes, std::size_t, std::vector<Extent>* out) override {
    out->insert(out->end(), extents.begin(), extents.end());
    co_return answer;
  }
  co::Task<IoStatus> resize(Bytes) override { co_return answer; }
  co::Task<void> close() override { co_return; }

  IoStatus answer = IoStatus::ok;
  std::vector<Extent> extents;

 private:
  co::Executor& executor_;
  Geometry geometry_{.size = size,
                     .logical_block = Bytes{512},
                     .physical_block = Bytes{512},
                     .discard_granularity = Bytes{}};
  Capabilities capabilities_;
};

// Whether `deed` ends its process with SIGABRT. In a child, with a Lab of its own.
bool stops(const std::function<void(Lab&)>& deed) {
  const pid_t child = ::fork();
  if (child == 0) {
    const rlimit none{.rlim_cur = 0, .rlim_max = 0};
    ::setrlimit(RLIMIT_CORE, &none);
    ::close(2);
    Lab lab;
    deed(lab);
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

struct Memory {
  explicit Memory(Lab& lab_)
      : lab{lab_}, backend{make_checked(make_memory(lab.executor(), size, Bytes{512}))} {}
  ~Memory() {
    if (backend != nullptr) {
      lab.run(backend->close());
    }
  }
  IoStatus read(std::uint64_t offset, std::size_t length) {
    std::vector<std::byte> bytes(length);
    const Flat flat{bytes};
    return lab.run(backend->read(Bytes{offset}, flat.view()));
  }
  Lab& lab;
  std::unique_ptr<Backend> backend;
};

void whole_blocks_within_the_size_pass(void**) {
  assert_false(stops([](Lab& lab) {
    Memory memory{lab};
    BALLAST_ASSERT(memory.read(0, 65536) == IoStatus::ok);
    BALLAST_ASSERT(memory.read(65024, 512) == IoStatus::ok);
    BALLAST_ASSERT(memory.read(65536, 0) == IoStatus::ok);
  }));
}

void a_range_beyond_the_end_stops(void**) {
  assert_true(stops([](Lab& lab) { Memory{lab}.read(65024, 1024); }));
  assert_true(stops([](Lab& lab) { Memory{lab}.read(UINT64_MAX - 511, 512); }));
}

void part_of_a_block_stops(void**) {
  assert_true(stops([](Lab& lab) { Memory{lab}.read(1, 512); }));
  assert_true(stops([](Lab& lab) { Memory{lab}.read(0, 513); }));
}

void an_operation_after_close_stops(void**) {
  assert_true(stops([](Lab& lab) {
    Memory memory{lab};
    lab.run(memory.backend->close());
    memory.read(0, 512);
  }));
}

void a_second_close_stops(void**) {
  assert_true(stops([](Lab& lab) {
    Memory memory{lab};
    lab.run(memory.backend->close());
    lab.run(memory.backend->close());
  }));
}

void going_away_without_close_stops(void**) {
  assert_true(stops([](Lab& lab) {
    Memory memory{lab};
    (void)lab.run(memory.backend->flush());
    memory.backend.reset();
  }));
  // What was never used has nothing to close.
  assert_false(stops([](Lab& lab) { Memory{lab}.backend.reset(); }));
}

bool liar_stops(const std::function<void(Lab&, Liar&, Backend&)>& deed) {
  return stops([&](Lab& lab) {
    auto inner = std::make_unique<Liar>(lab.executor());
    Liar& liar = *inner;
    const std::unique_ptr<Backend> checked = make_checked(std::move(inner));
    deed(lab, liar, *checked);
    lab.run(checked->close());
  });
}

void a_status_that_the_operation_cannot_have_stops(void**) {
  assert_true(liar_stops([](Lab& lab, Liar& liar, Backend& backend) {
    liar.answer = IoStatus::not_supported;
    lab.run(backend.flush());
  }));
  assert_false(liar_stops([](Lab& lab, Liar& liar, Backend& backend) {
    liar.answer = IoStatus::not_supported;
    lab.run(backend.zero(Bytes{}, Bytes{512}, MayUnmap::no));
  }));
}

void errors_are_counted_by_operation_and_status(void**) {
  Lab lab;
  auto inner = std::make_unique<Liar>(lab.executor());
  Liar& liar = *inner;
  const std::unique_ptr<Backend> checked = make_checked(std::move(inner));
  assert_int_equal(checked->errors()->view().size(), 0);
  liar.answer = IoStatus::no_space;
  (void)lab.run(checked->zero(Bytes{}, Bytes{512}, MayUnmap::no));
  (void)lab.run(checked->zero(Bytes{}, Bytes{512}, MayUnmap::no));
  liar.answer = IoStatus::medium_error;
  (void)lab.run(checked->flush());
  // What is not there is no error.
  liar.answer = IoStatus::not_supported;
  (void)lab.run(checked->zero(Bytes{}, Bytes{512}, MayUnmap::no));
  const std::vector<watch::StoreErrors> errors = checked->errors()->view();
  assert_int_equal(errors.size(), 2);
  assert_string_equal(errors[0].operation, "zero");
  assert_string_equal(errors[0].error, "no space");
  assert_int_equal(errors[0].count, 2);
  assert_string_equal(errors[1].operation, "flush");
  assert_string_equal(errors[1].error, "medium error");
  lab.run(checked->close());
}

void a_durable_write_where_there_is_none_stops(void**) {
  assert_true(liar_stops([](Lab& lab, Liar&, Backend& backend) {
    std::vector<std::byte> bytes(512);
    const Flat flat{bytes};
    lab.run(backend.write(Bytes{}, flat.view(), Fua::yes));
  }));
}

void a_resize_that_changed_nothing_stops(void**) {
  assert_true(
      liar_stops([](Lab& lab, Liar&, Backend& backend) { lab.run(backend.resize(Bytes{512})); }));
}

void extents_with_a_gap_stop(void**) {
  const auto ask = [](std::vector<Extent> extents) {
    return liar_stops([&](Lab& lab, Liar& liar, Backend& backend) {
      liar.extents = extents;
      std::vector<Extent> found;
      lab.run(backend.block_status(Bytes{}, Bytes{2048}, 2, &found));
    });
  };
  assert_false(ask({{Bytes{0}, Bytes{512}, true}, {Bytes{512}, Bytes{1536}, false}}));
  assert_false(ask({{Bytes{0}, Bytes{512}, true}, {Bytes{512}, Bytes{512}, false}}));
  assert_true(ask({{Bytes{0}, Bytes{512}, true}, {Bytes{1024}, Bytes{1024}, false}}));
  assert_false(ask({{Bytes{0}, Bytes{512}, true}}));
  assert_true(ask({{Bytes{0}, Bytes{4096}, true}}));
  assert_true(ask({}));
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(whole_blocks_within_the_size_pass),
      cmocka_unit_test(a_range_beyond_the_end_stops),
      cmocka_unit_test(part_of_a_block_stops),
      cmocka_unit_test(an_operation_after_close_stops),
      cmocka_unit_test(a_second_close_stops),
      cmocka_unit_test(going_away_without_close_stops),
      cmocka_unit_test(a_status_that_the_operation_cannot_have_stops),
      cmocka_unit_test(errors_are_counted_by_operation_and_status),
      cmocka_unit_test(a_durable_write_where_there_is_none_stops),
      cmocka_unit_test(a_resize_that_changed_nothing_stops),
      cmocka_unit_test(extents_with_a_gap_stop),
  };
  return cmocka_run_group_tests_name("checked", tests, nullptr, nullptr);
}
