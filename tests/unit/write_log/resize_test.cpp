// SPDX-License-Identifier: Apache-2.0
// A LUN is resized while it has a log, or while its log is closed.
#include "lib/base/log.h"
#include "tests/unit/write_log/newest_superblock.h"
#include "tests/unit/write_log/rig.h"

// after the others
#include "tests/cmocka.h"

using namespace ballast;
using namespace ballast::write_log;

namespace {

void no_log(LogLevel, std::string_view) {}

constexpr std::uint64_t half = test::rig_blocks / 2;

Identity identity_of(std::uint64_t blocks) {
  Identity identity = test::rig_identity();
  identity.lun = Bytes{blocks * test::rig_block};
  return identity;
}

struct Made : test::RigMedia {
  Made() { BALLAST_ASSERT(test::Rig{*this}.make().ok()); }
  // What the newest superblock on the device says, in blocks.
  std::uint64_t lun_of_superblock() const {
    return test::newest_superblock(log).lun.value() / test::rig_block;
  }
  char in_store(std::uint64_t lba) const {
    std::vector<std::byte> bytes(test::rig_block);
    store.read(lba, bytes);
    return static_cast<char>(bytes[0]);
  }
};

// A life that ends without its store ever having answered.
void write_and_die(Made& made, std::uint64_t lba, char byte, std::uint64_t blocks) {
  test::Rig rig{made};
  assert_string_equal(rig.open(identity_of(blocks)).c_str(), "");
  rig.store.die();
  assert_true(ok(rig.write(lba, 4, byte)));
  rig.disk.die();
}

void the_new_size_is_durable_when_it_is_answered(void**) {
  Made made;
  {
    test::Rig rig{made};
    assert_string_equal(rig.open().c_str(), "");
    assert_int_equal(made.lun_of_superblock(), test::rig_blocks);
    assert_true(ok(rig.run(rig.log->set_lun(Bytes{half * test::rig_block}))));
    rig.disk.die();
  }
  co::Random random{1};
  made.log.cut_power(random, 0);
  assert_int_equal(made.lun_of_superblock(), half);
}

void a_resize_that_a_failed_log_cannot_keep_is_told(void**) {
  Made made;
  test::Rig rig{made};
  assert_string_equal(rig.open().c_str(), "");
  test::DiskTemper broken = test::Rig::fast;
  broken.fails = 1000;
  rig.disk.set_temper(broken);
  assert_int_equal(rig.run(rig.log->set_lun(Bytes{half * test::rig_block})),
                   IoStatus::medium_error);
}

void writing_back_keeps_the_new_size(void**) {
  Made made;
  test::Rig rig{made};
  assert_string_equal(rig.open().c_str(), "");
  assert_true(ok(rig.write(10, 4, 'a', Until::written)));
  assert_true(ok(rig.run(rig.log->set_lun(Bytes{half * test::rig_block}))));
  assert_true(ok(rig.run(rig.log->drain())));
  assert_int_equal(made.lun_of_superblock(), half);
}

void what_is_behind_the_new_end_is_written_back(void**) {
  Made made;
  test::Rig rig{made};
  assert_string_equal(rig.open().c_str(), "");
  assert_true(ok(rig.write(half - 2, 4, 'a', Until::written)));
  assert_true(ok(rig.run(rig.log->set_lun(Bytes{half * test::rig_block}))));
  assert_true(ok(rig.run(rig.log->drain())));
  assert_int_equal(made.in_store(half - 1), 'a');
  assert_int_equal(made.in_store(half + 1), 'a');
  assert_false(rig.log->covers(Lba{half}, BlockCount{1}));
  assert_true(ok(rig.run(rig.log->set_lun(Bytes{test::rig_blocks * test::rig_block}))));
  assert_string_equal(rig.read(half - 2, 4).c_str(), "aaaa");
}

void a_lun_that_was_resized_while_its_log_was_closed_is_opened(void**) {
  Made made;
  write_and_die(made, half - 2, 'a', test::rig_blocks);
  write_and_die(made, 10, 'b', half);
  assert_int_equal(made.lun_of_superblock(), half);
  test::Rig rig{made};
  assert_string_equal(rig.open(identity_of(test::rig_blocks)).c_str(), "");
  assert_int_equal(made.lun_of_superblock(), test::rig_blocks);
  assert_string_equal(rig.read(half - 2, 4).c_str(), "aaaa");
  assert_string_equal(rig.read(10, 1).c_str(), "b");
}

void a_store_that_became_too_small_for_the_log_is_refused(void**) {
  Made made;
  write_and_die(made, half - 2, 'a', test::rig_blocks);
  made.store = test::Medium{(half + 1) * test::rig_block, test::rig_block};
  {
    test::Rig rig{made};
    const std::string said = rig.open(identity_of(half));
    assert_non_null(std::strstr(said.c_str(), "has changes of the LUN's blocks up to 32769, and"));
    assert_non_null(std::strstr(said.c_str(), "ends before block 32769"));
    assert_int_equal(rig.disk.bytes_written(), 0);
  }
  made.store = test::Medium{(half + 2) * test::rig_block, test::rig_block};
  test::Rig rig{made};
  assert_string_equal(rig.open(identity_of(half)).c_str(), "");
  assert_true(ok(rig.run(rig.log->drain())));
  assert_int_equal(made.in_store(half + 1), 'a');
}

void a_store_that_lost_only_what_the_log_does_not_have_is_opened(void**) {
  Made made;
  write_and_die(made, 10, 'a', test::rig_blocks);
  made.store = test::Medium{half * test::rig_block, test::rig_block};
  test::Rig rig{made};
  assert_string_equal(rig.open(identity_of(half)).c_str(), "");
  assert_string_equal(rig.read(10, 4).c_str(), "aaaa");
}

}  // namespace

int main() {
  set_log_sink(&no_log);
  const CMUnitTest tests[] = {
      cmocka_unit_test(the_new_size_is_durable_when_it_is_answered),
      cmocka_unit_test(a_resize_that_a_failed_log_cannot_keep_is_told),
      cmocka_unit_test(writing_back_keeps_the_new_size),
      cmocka_unit_test(what_is_behind_the_new_end_is_written_back),
      cmocka_unit_test(a_lun_that_was_resized_while_its_log_was_closed_is_opened),
      cmocka_unit_test(a_store_that_became_too_small_for_the_log_is_refused),
      cmocka_unit_test(a_store_that_lost_only_what_the_log_does_not_have_is_opened),
  };
  return cmocka_run_group_tests_name("resize", tests, nullptr, nullptr);
}
