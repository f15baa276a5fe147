// SPDX-License-Identifier: Apache-2.0
#include "lib/backend/gate.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/unit/backend/lab.h"
#include "tests/unit/volume/spy_backend.h"

#include "tests/cmocka.h"

using namespace ballast;
using namespace ballast::test;

namespace {

constexpr Bytes size{1 << 20};
constexpr Bytes block{512};

struct Rig {
  Lab lab;
  SpyBackend* spy = nullptr;
  std::unique_ptr<backend::Gate> gate;
  std::vector<std::byte> memory = std::vector<std::byte>(512);

  Rig() {
    auto inner = std::make_unique<SpyBackend>(lab.executor(), size, block);
    spy = inner.get();
    gate = std::make_unique<backend::Gate>(std::move(inner));
  }
  ~Rig() { lab.run(gate->close()); }
  // What each kind of operation ends with.
  std::vector<IoStatus> each_once() {
    const iovec piece{memory.data(), memory.size()};
    const io::SgView data{std::span{&piece, 1}};
    std::vector<backend::Extent> extents;
    std::vector<IoStatus> ended;
    const auto add = [this, &ended](co::Task<IoStatus> task) {
      ended.push_back(lab.run(std::move(task)));
    };
    add(gate->read(Bytes{}, data, {}));
    add(gate->write(Bytes{}, data, backend::Fua::no, {}));
    add(gate->zero(Bytes{}, block, backend::MayUnmap::yes, {}));
    add(gate->discard(Bytes{}, block, {}));
    add(gate->flush({}));
    add(gate->block_status(Bytes{}, block, 1, &extents));
    add(gate->resize(Bytes{2 << 20}));
    return ended;
  }
};

void open_it_is_not_there(void**) {
  Rig rig;
  assert_true(rig.each_once() == std::vector<IoStatus>(7, IoStatus::ok));
  assert_int_equal(rig.spy->ops.size(), 6);  // it does not write down the block status
}

void shut_nothing_gets_through(void**) {
  Rig rig;
  rig.gate->shut();
  assert_true(rig.each_once() == std::vector<IoStatus>(7, IoStatus::not_ready));
  assert_true(rig.spy->ops.empty());
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(open_it_is_not_there),
      cmocka_unit_test(shut_nothing_gets_through),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
