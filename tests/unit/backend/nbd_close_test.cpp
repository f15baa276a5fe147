// SPDX-License-Identifier: Apache-2.0
// What an NBD backend that closes does about data that a server may lose, once nobody is connected
// to notice it.
#include "tests/unit/backend/nbd_site.h"

using namespace ballast;
using namespace ballast::backend;
using namespace ballast::test;

namespace {

Store open_store(Site& site) {
  StoreOrder order;
  order.config = site.config();
  order.size = size;
  order.logical_block = block;
  const std::unique_ptr<StoreSource> source =
      backend::open(std::move(order), site.lab.context(size, block)).value();
  assert_true(source->wait(std::chrono::minutes{1}) == StoreSource::State::opened);
  return source->take();
}

// Closes the store and returns what its next user is told.
IoStatus close(Site& site, Store& store) {
  site.lab.run(store.backend->close());
  return store.unheard_flush->load();
}

void what_was_acknowledged_is_flushed(void**) {
  const Folder folder;
  const std::string flushed = folder.file("flushed");
  Site site{{"eval", "get_size=echo 8M", "can_write=exit 0", "can_flush=exit 0",
             "pread=dd if=/dev/zero iflag=count_bytes bs=64K count=$3 status=none",
             "pwrite=cat > /dev/null", "flush=touch " + flushed}};
  Store store = open_store(site);
  assert_int_equal(site.write(*store.backend, Bytes{}, 'a', Fua::no), IoStatus::ok);
  assert_false(std::filesystem::exists(flushed));
  assert_int_equal(close(site, store), IoStatus::ok);
  assert_true(std::filesystem::exists(flushed));
}

void a_flush_that_fails_is_told_to_the_next_user(void**) {
  Site site{{"eval", "get_size=echo 8M", "can_write=exit 0", "can_flush=exit 0",
             "pread=dd if=/dev/zero iflag=count_bytes bs=64K count=$3 status=none",
             "pwrite=cat > /dev/null", "flush=echo EIO broken >&2; exit 1"}};
  Store store = open_store(site);
  assert_int_equal(site.write(*store.backend, Bytes{}, 'a', Fua::no), IoStatus::ok);
  assert_int_equal(close(site, store), IoStatus::medium_error);
}

void without_a_server_nobody_knows(void**) {
  Site site{{"file", "@file"}};
  Store store = open_store(site);
  assert_int_equal(site.write(*store.backend, Bytes{}, 'a', Fua::no), IoStatus::ok);
  site.server.kill();
  assert_int_equal(close(site, store), IoStatus::medium_error);
}

void a_loss_that_no_flush_has_told_of_is_told_to_the_next_user(void**) {
  for (const bool told : {false, true}) {
    Site site{{"file", "@file"}};
    Store store = open_store(site);
    assert_int_equal(site.write(*store.backend, Bytes{}, 'a', Fua::no), IoStatus::ok);
    site.restart();
    assert_int_equal(site.read(*store.backend, Bytes{}), 'a');  // connected again
    if (told) {
      assert_int_equal(site.lab.run(store.backend->flush()), IoStatus::medium_error);
    }
    assert_int_equal(close(site, store), told ? IoStatus::ok : IoStatus::medium_error);
  }
}

void a_loss_after_a_flush_has_told_of_another_one_is_told_as_well(void**) {
  Site site{{"file", "@file"}};
  Store store = open_store(site);
  assert_int_equal(site.write(*store.backend, Bytes{}, 'a', Fua::no), IoStatus::ok);
  site.restart();
  assert_int_equal(site.read(*store.backend, Bytes{}), 'a');
  assert_int_equal(site.lab.run(store.backend->flush()), IoStatus::medium_error);
  assert_int_equal(site.write(*store.backend, Bytes{}, 'b', Fua::no), IoStatus::ok);
  site.restart();
  assert_int_equal(site.read(*store.backend, Bytes{}), 'b');
  assert_int_equal(close(site, store), IoStatus::medium_error);
}

}  // namespace

int main() {
  require_nbdkit();
  const CMUnitTest tests[] = {
      cmocka_unit_test(what_was_acknowledged_is_flushed),
      cmocka_unit_test(a_flush_that_fails_is_told_to_the_next_user),
      cmocka_unit_test(without_a_server_nobody_knows),
      cmocka_unit_test(a_loss_that_no_flush_has_told_of_is_told_to_the_next_user),
      cmocka_unit_test(a_loss_after_a_flush_has_told_of_another_one_is_told_as_well),
  };
  return cmocka_run_group_tests_name("nbd close", tests, nullptr, nullptr);
}
