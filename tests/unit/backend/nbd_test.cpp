// SPDX-License-Identifier: Apache-2.0
// An export of a real NBD server: its limits and errors, and what becomes of operations when the
// connection is lost.
#include <cerrno>
#include <cstring>

#include "tests/unit/backend/nbd_site.h"

using namespace ballast;
using namespace ballast::backend;
using namespace ballast::test;
using namespace std::chrono_literals;

namespace {

// --- limits and errors

void what_the_server_does_not_offer_is_not_promised(void**) {
  Site site{{"--filter=nozero", "--filter=fua", "--filter=noextents", "memory", "size=8M"}};
  const std::unique_ptr<Backend> backend = site.open();
  const Capabilities& can = backend->capabilities();
  assert_false(can.zero);
  assert_true(can.discard);
  assert_false(can.discard_zeroes);
  assert_true(can.fua);  // by a flush behind each write
  assert_int_equal(site.lab.run(backend->zero(Bytes{}, mib, MayUnmap::no)),
                   IoStatus::not_supported);
  assert_int_equal(site.lab.run(backend->discard(Bytes{}, mib)), IoStatus::ok);
  assert_int_equal(site.write(*backend, Bytes{}, 'a'), IoStatus::ok);
  assert_int_equal(site.read(*backend, Bytes{}), 'a');
  site.lab.run(backend->close());
}

void a_read_only_export_makes_a_write_protected_lun(void**) {
  Site site{{"-r", "memory", "size=8M"}};
  const std::unique_ptr<Backend> backend = site.open();
  assert_true(backend->capabilities().read_only);
  assert_int_equal(site.write(*backend, Bytes{}, 'a', Fua::no), IoStatus::write_protected);
  assert_int_equal(site.read(*backend, Bytes{}), 0);
  site.lab.run(backend->close());
}

void an_export_that_does_not_fit_is_refused(void**) {
  Site site{{"--filter=blocksize-policy", "memory", "size=8M", "blocksize-minimum=4096",
             "blocksize-preferred=4096", "blocksize-maximum=32M", "blocksize-error-policy=error"}};
  const auto small = site.open(site.config(), Bytes{size.value() + 4096}, Bytes{4096});
  assert_int_equal(small.error().errno_value, EFBIG);
  assert_non_null(std::strstr(small.error().message.c_str(), "8388608"));
  const auto blocks = site.open(site.config());
  assert_int_equal(blocks.error().errno_value, EINVAL);
  assert_non_null(std::strstr(blocks.error().message.c_str(), "hw_block_size"));
  const std::unique_ptr<Backend> backend = site.open(site.config(), size, Bytes{4096}).value();
  assert_int_equal(site.write(*backend, Bytes{4096}, 'a'), IoStatus::ok);
  site.lab.run(backend->close());
}

void the_servers_errors_have_their_statuses(void**) {
  Site site{{"--filter=error", "memory", "size=8M", "error-pread=EIO", "error-pread-rate=100%",
             "error-pwrite=ENOSPC", "error-pwrite-rate=100%"}};
  const std::unique_ptr<Backend> backend = site.open();
  assert_int_equal(site.write(*backend, Bytes{}, 'a'), IoStatus::no_space);
  assert_int_equal(site.read(*backend, Bytes{}), '!');
  site.lab.run(backend->close());
}

// WRITE SAME writes a pattern as a list of segments, which libnbd does not take, and holds a buffer
// of the pool for its block. So it must go on when the pool is empty, and behind others that wait.
void data_in_segments_needs_no_buffer_that_others_hold(void**) {
  Site site{{"memory", "size=8M"}};
  const std::unique_ptr<Backend> backend = site.open();
  io::BufferPool& pool = site.lab.context(size, block).buffers;
  const io::Buffer all = pool.try_acquire(io::BufferPool::largest);
  assert_true(bool(all));
  constexpr std::size_t piece = 65536;
  std::vector<std::byte> pattern(piece);
  for (std::size_t i = 0; i < piece; ++i) {
    pattern[i] = std::byte(i / block.value());
  }
  std::vector<std::byte> back(17 * piece);
  const std::vector<iovec> repeated(17, iovec{pattern.data(), pattern.size()});
  std::vector<iovec> pieces;
  for (std::size_t i = 0; i < 17; ++i) {
    pieces.push_back({back.data() + i * piece, piece});
  }
  std::vector<std::unique_ptr<Started>> writes;
  for (std::uint64_t i = 0; i < 6; ++i) {  // more than there are buffers in reserve
    writes.push_back(std::make_unique<Started>(
        site, backend->write(Bytes{mib.value() * i}, io::SgView{std::span{repeated}}, Fua::yes)));
  }
  for (const std::unique_ptr<Started>& write : writes) {
    assert_int_equal(write->end(), IoStatus::ok);
  }
  assert_int_equal(
      site.lab.run(backend->read(Bytes{mib.value() * 5}, io::SgView{std::span{pieces}})),
      IoStatus::ok);
  for (std::size_t i = 0; i < 17; ++i) {
    assert_memory_equal(pieces[i].iov_base, pattern.data(), piece);
  }
  site.lab.run(backend->close());
}

void one_export_is_for_one_lun(void**) {
  Site site{{"memory", "size=8M"}};
  const std::unique_ptr<Backend> backend = site.open();
  StoreOrder order;
  order.config = site.config();
  order.size = size;
  order.logical_block = block;
  const auto second = backend::open(order, site.lab.context(size, block)).value();
  assert_int_equal(second->wait(10s), StoreSource::State::waiting);
  assert_int_equal(second->error().errno_value, EBUSY);
  site.lab.run(backend->close());
}

// open() waits for it.
void a_server_that_does_not_answer_in_time_is_not_refused_beforehand(void**) {
  Site site{{"memory", "size=8M"}};
  StoreOrder order;
  order.config = site.config();
  assert_true(check(order, 10s).ok());
  site.server.freeze();
  assert_true(check(order, 50ms).ok());
  site.server.thaw();
  site.server.stop();
  assert_false(check(order, 10s).ok());
}

void exclusive_is_checked(void**) {
  Site site{{"--filter=limit", "memory", "size=8M", "limit=1"}};
  StoreConfig config = site.config();
  config.nbd.exclusive = NbdConfig::Exclusive::server;
  const std::unique_ptr<Backend> backend = site.open(config).value();
  assert_true(backend->capabilities().exclusive);
  site.lab.run(backend->close());
  Site open_to_all{{"memory", "size=8M"}};
  config.nbd.server = open_to_all.socket;
  const auto refused = open_to_all.open(config);
  assert_false(refused.ok());
  assert_non_null(std::strstr(refused.error().message.c_str(), "limit=1"));
}

// --- lost connections

void a_restarted_server_is_found_again(void**) {
  Site site{{"file", "@file"}};
  const std::unique_ptr<Backend> backend = site.open();
  assert_int_equal(site.write(*backend, Bytes{}, 'a'), IoStatus::ok);
  for (int i = 0; i < 3; ++i) {
    site.restart();
    assert_int_equal(site.read(*backend, Bytes{}), 'a');
    assert_int_equal(site.write(*backend, Bytes{4096}, static_cast<char>('b' + i)), IoStatus::ok);
    assert_int_equal(site.lab.run(backend->flush()), IoStatus::ok);
    site.restart();
    assert_int_equal(site.write(*backend, Bytes{8192}, 'z'), IoStatus::ok);
    assert_int_equal(site.read(*backend, Bytes{4096}), 'b' + i);
  }
  site.lab.run(backend->close());
}

void what_was_under_way_is_sent_again(void**) {
  Site site{{"--filter=delay", "file", "@file", "rdelay=30", "wdelay=30"}};
  const std::unique_ptr<Backend> backend = site.open();
  std::vector<std::byte> data(mib.value(), std::byte{'w'});
  std::vector<std::byte> back(4096, std::byte{'?'});
  const Flat flat{data};
  const Flat flat_back{back};
  Started write{site, backend->write(mib, flat.view(), Fua::yes)};
  Started read{site, backend->read(Bytes{}, flat_back.view())};
  Started zero{site, backend->zero(Bytes{4096}, Bytes{4096}, MayUnmap::yes)};
  site.wait(100ms);
  site.server.kill();
  site.wait(100ms);
  assert_false(write.ended() || read.ended() || zero.ended());
  site.server.become(site.command({"file", "@file"}));
  site.server.start();
  assert_int_equal(write.end(), IoStatus::ok);
  assert_int_equal(read.end(), IoStatus::ok);
  assert_int_equal(zero.end(), IoStatus::ok);
  assert_int_equal(static_cast<int>(back.front()), 0);
  assert_int_equal(site.read(*backend, mib, mib.value()), 'w');
  site.lab.run(backend->close());
}

void the_write_of_a_comparison_is_not_sent_again(void**) {
  Site site{{"--filter=delay", "file", "@file", "wdelay=30"}};
  const std::unique_ptr<Backend> backend = site.open();
  std::vector<std::byte> data(4096, std::byte{'w'});
  const Flat flat{data};
  Started write{site, backend->write_once(Bytes{}, flat.view(), Fua::yes)};
  site.wait(50ms);
  site.server.kill();
  assert_int_equal(write.end(), IoStatus::medium_error);
  site.server.become(site.command({"file", "@file"}));
  site.server.start();
  assert_int_equal(site.lab.run(backend->write_once(mib, flat.view(), Fua::yes)), IoStatus::ok);
  site.lab.run(backend->close());
}

void flushes_fail_when_the_server_may_have_forgotten_something(void**) {
  Site site{{"file", "@file"}};
  std::unique_ptr<Backend> backend = site.open();
  assert_int_equal(site.write(*backend, Bytes{}, 'a', Fua::no), IoStatus::ok);
  assert_int_equal(site.lab.run(backend->flush()), IoStatus::ok);
  site.restart();
  assert_int_equal(site.lab.run(backend->flush()), IoStatus::ok);  // all was durable
  assert_int_equal(site.write(*backend, Bytes{}, 'b', Fua::no), IoStatus::ok);
  site.restart();
  assert_int_equal(site.lab.run(backend->flush()), IoStatus::medium_error);
  assert_int_equal(site.write(*backend, Bytes{}, 'c'), IoStatus::ok);
  assert_int_equal(site.lab.run(backend->flush()), IoStatus::medium_error);
  site.lab.run(backend->close());
  backend = site.open();
  assert_int_equal(site.lab.run(backend->flush()), IoStatus::ok);
  site.lab.run(backend->close());
}

void while_there_is_no_server_only_the_untouched_can_be_cancelled(void**) {
  Site site{{"--filter=delay", "file", "@file", "wdelay=30"}};
  const std::unique_ptr<Backend> backend = site.open();
  std::vector<std::byte> data(4096, std::byte{'w'});
  const Flat flat{data};
  co::CancelSource cancel;
  Started touched{site, backend->write(Bytes{}, flat.view(), Fua::yes, cancel.token())};
  site.wait(50ms);
  site.server.kill();
  site.wait(50ms);
  Started untouched{site, backend->write(mib, flat.view(), Fua::yes, cancel.token())};
  Started read{site, backend->read(mib, flat.view(), cancel.token())};
  site.wait(50ms);
  cancel.request();
  assert_int_equal(untouched.end(), IoStatus::cancelled);
  assert_int_equal(read.end(), IoStatus::cancelled);
  site.wait(50ms);
  assert_false(touched.ended());
  site.server.become(site.command({"file", "@file"}));
  site.server.start();
  assert_int_equal(touched.end(), IoStatus::ok);
  assert_int_equal(site.read(*backend, mib), 0);
  site.lab.run(backend->close());
}

void closing_does_not_wait_for_a_server_that_is_gone(void**) {
  Site site{{"--filter=delay", "file", "@file", "wdelay=30"}};
  const std::unique_ptr<Backend> backend = site.open();
  std::vector<std::byte> data(4096, std::byte{'w'});
  const Flat flat{data};
  Started touched{site, backend->write(Bytes{}, flat.view(), Fua::yes)};
  site.wait(50ms);
  site.server.kill();
  site.wait(50ms);
  Started untouched{site, backend->write(mib, flat.view(), Fua::yes)};
  site.wait(50ms);
  site.lab.run(backend->close());
  assert_int_equal(touched.end(), IoStatus::medium_error);
  assert_int_equal(untouched.end(), IoStatus::not_ready);
}

void a_server_that_offers_less_is_waited_out(void**) {
  Site site{{"file", "@file"}};
  const std::unique_ptr<Backend> backend = site.open();
  assert_int_equal(site.write(*backend, Bytes{}, 'a'), IoStatus::ok);
  site.server.kill();
  site.server.become(site.command({"-r", "file", "@file"}));
  site.server.start();
  std::vector<std::byte> data(4096, std::byte{'w'});
  const Flat flat{data};
  Started write{site, backend->write(Bytes{}, flat.view(), Fua::yes)};
  site.wait(300ms);
  assert_false(write.ended());
  site.server.kill();
  site.server.become(site.command({"file", "@file"}));
  site.server.start();
  assert_int_equal(write.end(), IoStatus::ok);
  site.lab.run(backend->close());
}

void growing_needs_an_export_that_has_grown(void**) {
  Site site{{"file", "@file"}};
  const std::unique_ptr<Backend> backend = site.open();
  const Bytes grown{size.value() + mib.value()};
  assert_int_equal(site.lab.run(backend->resize(grown)), IoStatus::no_space);
  assert_int_equal(site.write(*backend, Bytes{}, 'a'), IoStatus::ok);
  std::filesystem::resize_file(site.file, grown.value());
  assert_int_equal(site.lab.run(backend->resize(grown)), IoStatus::ok);
  assert_int_equal(site.write(*backend, size, 'b'), IoStatus::ok);
  assert_int_equal(site.read(*backend, Bytes{}), 'a');
  assert_int_equal(site.read(*backend, size), 'b');
  site.lab.run(backend->close());
}

}  // namespace

int main() {
  require_nbdkit();
  const CMUnitTest tests[] = {
      cmocka_unit_test(what_the_server_does_not_offer_is_not_promised),
      cmocka_unit_test(a_read_only_export_makes_a_write_protected_lun),
      cmocka_unit_test(an_export_that_does_not_fit_is_refused),
      cmocka_unit_test(the_servers_errors_have_their_statuses),
      cmocka_unit_test(data_in_segments_needs_no_buffer_that_others_hold),
      cmocka_unit_test(one_export_is_for_one_lun),
      cmocka_unit_test(a_server_that_does_not_answer_in_time_is_not_refused_beforehand),
      cmocka_unit_test(exclusive_is_checked),
      cmocka_unit_test(a_restarted_server_is_found_again),
      cmocka_unit_test(what_was_under_way_is_sent_again),
      cmocka_unit_test(the_write_of_a_comparison_is_not_sent_again),
      cmocka_unit_test(flushes_fail_when_the_server_may_have_forgotten_something),
      cmocka_unit_test(while_there_is_no_server_only_the_untouched_can_be_cancelled),
      cmocka_unit_test(closing_does_not_wait_for_a_server_that_is_gone),
      cmocka_unit_test(a_server_that_offers_less_is_waited_out),
      cmocka_unit_test(growing_needs_an_export_that_has_grown),
  };
  return cmocka_run_group_tests_name("nbd", tests, nullptr, nullptr);
}
