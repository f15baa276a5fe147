// SPDX-License-Identifier: Apache-2.0
// An export whose size has changed when the server comes back.
#include <string_view>

#include "lib/base/log.h"
#include "tests/unit/backend/nbd_site.h"

using namespace ballast;
using namespace ballast::backend;
using namespace ballast::test;
using namespace std::chrono_literals;

namespace {

// --- another size

void what_an_export_has_lost_is_out_of_range(void**) {
  Site site{{"file", "@file"}};
  const std::unique_ptr<Backend> backend = site.open();
  const Bytes half{size.value() / 2};
  assert_int_equal(site.write(*backend, half, 'a'), IoStatus::ok);
  std::vector<std::string> lines;
  static std::vector<std::string>* said = nullptr;
  said = &lines;
  set_log_sink([](LogLevel, std::string_view line) { said->emplace_back(line); });
  site.server.kill();
  std::filesystem::resize_file(site.file, half.value());
  site.server.start();
  assert_int_equal(site.write(*backend, Bytes{}, 'b'), IoStatus::ok);
  std::vector<std::byte> data(8192);
  const Flat flat{data};
  std::vector<Extent> extents;
  const Bytes across{half.value() - 4096};
  assert_int_equal(site.lab.run(backend->read(across, flat.view())), IoStatus::out_of_range);
  assert_int_equal(site.lab.run(backend->write(half, flat.view(), Fua::yes)),
                   IoStatus::out_of_range);
  assert_int_equal(site.lab.run(backend->zero(half, mib, MayUnmap::no)), IoStatus::out_of_range);
  assert_int_equal(site.lab.run(backend->block_status(half, mib, 8, &extents)),
                   IoStatus::out_of_range);
  assert_int_equal(site.lab.run(backend->flush()), IoStatus::ok);
  assert_int_equal(site.read(*backend, Bytes{}), 'b');
  set_log_sink(nullptr);
  const auto has = [&lines](const char* words) {
    return std::ranges::count_if(
        lines, [words](const std::string& line) { return line.find(words) != std::string::npos; });
  };
  assert_int_equal(has("has become smaller: it has 4194304 bytes, and the LUN 8388608"), 1);
  assert_true(has("past the end of the export") > 0);
  // Somebody puts it right.
  std::filesystem::resize_file(site.file, size.value());
  char found = '!';
  for (int i = 0; i < 400 && found == '!'; ++i) {
    site.wait(10ms);
    found = site.read(*backend, half);
  }
  assert_int_equal(found, 0);
  site.lab.run(backend->close());
}

void an_export_of_which_nothing_is_left_is_waited_out(void**) {
  Site site{{"file", "@file"}};
  const std::unique_ptr<Backend> backend = site.open();
  assert_int_equal(site.write(*backend, Bytes{}, 'a'), IoStatus::ok);
  site.server.kill();
  std::filesystem::resize_file(site.file, 0);
  site.server.start();
  std::vector<std::byte> data(4096);
  const Flat flat{data};
  Started read{site, backend->read(Bytes{}, flat.view())};
  site.wait(300ms);
  assert_false(read.ended());
  assert_string_equal(backend->connection().state, "reconnecting");
  assert_true(site.lab.run(backend->waits_for(1s)).starts_with("a connection to "));
  std::filesystem::resize_file(site.file, 2 * size.value());  // larger is as good
  assert_int_equal(read.end(), IoStatus::ok);
  assert_string_equal(backend->connection().state, "connected");
  site.lab.run(backend->close());
}

// --- a new connection for a new size

constexpr Bytes grown{size.value() + mib.value()};

// The LUN is idle when the server restarts, so nothing but the new connection could tell.
void a_restart_is_not_hidden_by_a_resize(void**) {
  Site site{{"file", "@file"}};
  const std::unique_ptr<Backend> backend = site.open();
  assert_int_equal(site.write(*backend, Bytes{}, 'a', Fua::no), IoStatus::ok);
  site.server.kill();
  std::filesystem::resize_file(site.file, grown.value());
  site.server.start();
  assert_int_equal(site.lab.run(backend->resize(grown)), IoStatus::ok);
  assert_int_equal(site.lab.run(backend->flush()), IoStatus::medium_error);
  assert_int_equal(site.write(*backend, size, 'b'), IoStatus::ok);
  assert_int_equal(site.lab.run(backend->flush()), IoStatus::medium_error);
  site.lab.run(backend->close());
}

void a_restart_is_not_hidden_by_a_command_past_the_end(void**) {
  Site site{{"file", "@file"}};
  const std::unique_ptr<Backend> backend = site.open();
  const Bytes half{size.value() / 2};
  site.server.kill();
  std::filesystem::resize_file(site.file, half.value());
  site.server.start();
  assert_int_equal(site.read(*backend, Bytes{}), 0);  // connected again
  assert_int_equal(site.write(*backend, Bytes{}, 'a', Fua::no), IoStatus::ok);
  site.restart();
  assert_int_equal(site.read(*backend, half), '!');
  assert_int_equal(site.lab.run(backend->flush()), IoStatus::medium_error);
  site.lab.run(backend->close());
}

void a_restart_that_a_resize_meets_is_no_loss_if_all_was_flushed(void**) {
  Site site{{"file", "@file"}};
  const std::unique_ptr<Backend> backend = site.open();
  assert_int_equal(site.write(*backend, Bytes{}, 'a', Fua::no), IoStatus::ok);
  assert_int_equal(site.lab.run(backend->flush()), IoStatus::ok);
  site.server.kill();
  std::filesystem::resize_file(site.file, grown.value());
  site.server.start();
  assert_int_equal(site.lab.run(backend->resize(grown)), IoStatus::ok);
  assert_int_equal(site.lab.run(backend->flush()), IoStatus::ok);
  site.lab.run(backend->close());
}

void the_old_connection_is_flushed_before_a_new_one_is_made(void**) {
  Site site{{"file", "@file"}};
  for (const std::uint32_t connections : {1U, 3U}) {
    StoreConfig config = site.config();
    config.nbd.connections = connections;
    const std::unique_ptr<Backend> backend = site.open(config).value();
    assert_int_equal(site.write(*backend, Bytes{}, 'a', Fua::no), IoStatus::ok);
    const Bytes more{grown.value() * connections};
    std::filesystem::resize_file(site.file, more.value());
    assert_int_equal(site.lab.run(backend->resize(more)), IoStatus::ok);
    site.restart();  // harmless: what was acknowledged is durable
    assert_int_equal(site.read(*backend, Bytes{}), 'a');
    assert_int_equal(site.lab.run(backend->flush()), IoStatus::ok);
    site.lab.run(backend->close());
  }
}

// The server tells of data that it has lost once only, as Linux does.
void if_the_old_connection_cannot_be_flushed_that_is_a_loss(void**) {
  const Folder folder;
  const std::string larger = folder.file("larger");
  const std::string told = folder.file("told");
  Site site{{"eval", "get_size=[ -e " + larger + " ] && echo 9M || echo 8M", "can_write=exit 0",
             "can_flush=exit 0",
             "pread=dd if=/dev/zero iflag=count_bytes bs=64K count=$3 status=none",
             "pwrite=cat > /dev/null", "flush=mkdir " + told + " || exit 0; echo EIO >&2; exit 1"}};
  const std::unique_ptr<Backend> backend = site.open();
  assert_int_equal(site.write(*backend, Bytes{}, 'a', Fua::no), IoStatus::ok);
  std::ofstream{larger}.flush();
  assert_int_equal(site.lab.run(backend->resize(grown)), IoStatus::ok);
  assert_true(std::filesystem::exists(told));
  assert_int_equal(site.lab.run(backend->flush()), IoStatus::medium_error);
  site.lab.run(backend->close());
}

// What is under way on the old connection ends there, and the flush comes behind it.
void what_is_under_way_at_a_resize_is_flushed_with_the_rest(void**) {
  Site site{{"--filter=delay", "file", "@file", "wdelay=300ms"}};
  const std::unique_ptr<Backend> backend = site.open();
  std::vector<std::byte> data(4096, std::byte{'w'});
  const Flat flat{data};
  Started write{site, backend->write(Bytes{}, flat.view(), Fua::no)};
  site.wait(50ms);
  std::filesystem::resize_file(site.file, grown.value());
  assert_int_equal(site.lab.run(backend->resize(grown)), IoStatus::ok);
  assert_true(write.ended());
  assert_int_equal(write.end(), IoStatus::ok);
  assert_int_equal(site.read(*backend, Bytes{}), 'w');
  assert_int_equal(site.lab.run(backend->flush()), IoStatus::ok);
  site.lab.run(backend->close());
}

// A server that hangs keeps the old connection for as long. The resize is not done then.
void a_resize_does_not_wait_for_ever(void**) {
  Site site{{"file", "@file"}};
  const std::unique_ptr<Backend> backend = site.open();
  assert_int_equal(site.write(*backend, Bytes{}, 'a', Fua::no), IoStatus::ok);
  std::filesystem::resize_file(site.file, grown.value());
  site.server.freeze();
  assert_int_equal(site.lab.run(backend->resize(grown)), IoStatus::not_ready);
  assert_true(backend->geometry().size == size);
  assert_true(site.lab.run(backend->waits_for(1s)).ends_with("to answer 1 request"));
  site.server.thaw();
  assert_int_equal(site.read(*backend, Bytes{}), 'a');
  assert_int_equal(site.lab.run(backend->resize(grown)), IoStatus::ok);
  assert_int_equal(site.lab.run(backend->flush()), IoStatus::ok);
  site.lab.run(backend->close());
}

// --- several connections

// To qemu-nbd: nbdkit 1.32 may abort when a connection breaks while several of its threads answer.
StoreConfig on_three_connections(Site* site) {
  if (!nbd_test::has_program("qemu-nbd")) {
    skip();
  }
  site->server.stop();
  site->server.become(Server::qemu_nbd(site->socket, site->file, {"--shared=8"}));
  site->server.start();
  StoreConfig config = site->config();
  config.nbd.connections = 3;
  return config;
}

void one_of_several_connections_is_cut(void**) {
  Site site{{"file", "@file"}};
  const StoreConfig config = on_three_connections(&site);
  const std::unique_ptr<Backend> backend = site.open(config).value();
  for (int i = 0; i < 8; ++i) {
    std::vector<std::unique_ptr<Started>> all;
    std::vector<std::vector<std::byte>> data;
    data.reserve(12);
    std::vector<Flat> flats;
    for (std::uint64_t j = 0; j < 12; ++j) {
      data.emplace_back(65536, std::byte(i + static_cast<int>(j) + 1));
      flats.emplace_back(data.back());
    }
    for (std::uint64_t j = 0; j < 12; ++j) {
      all.push_back(std::make_unique<Started>(
          site, backend->write(Bytes{j * 65536}, flats[j].view(), Fua::yes)));
    }
    site.wait(200us);
    assert_true(cut_one(site.socket));
    for (const std::unique_ptr<Started>& one : all) {
      assert_int_equal(one->end(), IoStatus::ok);
    }
    for (std::uint64_t j = 0; j < 12; ++j) {
      assert_int_equal(site.read(*backend, Bytes{j * 65536}, 65536), i + static_cast<int>(j) + 1);
    }
  }
  site.lab.run(backend->close());
}

// The moment when a new connection is taken over is the moment of the close, sooner or later.
void a_backend_closes_while_it_connects_again(void**) {
  Site site{{"file", "@file"}};
  const StoreConfig config = on_three_connections(&site);
  for (int i = 0; i < 200; ++i) {
    const std::unique_ptr<Backend> backend = site.open(config).value();
    assert_true(cut_one(site.socket));
    // One of these meets the connection that is cut, goes by another, and leaves it connecting.
    for (int j = 0; j < 3; ++j) {
      assert_int_equal(site.write(*backend, Bytes{}, 'a'), IoStatus::ok);
    }
    site.wait(10ms + i % 40 * 250us);
    site.lab.run(backend->close());
  }
}

}  // namespace

int main() {
  require_nbdkit();
  const CMUnitTest tests[] = {
      cmocka_unit_test(what_an_export_has_lost_is_out_of_range),
      cmocka_unit_test(an_export_of_which_nothing_is_left_is_waited_out),
      cmocka_unit_test(a_restart_is_not_hidden_by_a_resize),
      cmocka_unit_test(a_restart_is_not_hidden_by_a_command_past_the_end),
      cmocka_unit_test(a_restart_that_a_resize_meets_is_no_loss_if_all_was_flushed),
      cmocka_unit_test(the_old_connection_is_flushed_before_a_new_one_is_made),
      cmocka_unit_test(if_the_old_connection_cannot_be_flushed_that_is_a_loss),
      cmocka_unit_test(what_is_under_way_at_a_resize_is_flushed_with_the_rest),
      cmocka_unit_test(a_resize_does_not_wait_for_ever),
      cmocka_unit_test(one_of_several_connections_is_cut),
      cmocka_unit_test(a_backend_closes_while_it_connects_again),
  };
  return cmocka_run_group_tests_name("nbd size", tests, nullptr, nullptr);
}
