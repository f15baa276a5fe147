// SPDX-License-Identifier: Apache-2.0
// The write of a connection that broke, which the server carries out late.
#include <cstdlib>

#include "tests/unit/backend/nbd_site.h"

using namespace ballast;
using namespace ballast::backend;
using namespace ballast::test;
using namespace std::chrono_literals;

namespace {

// --- late writes

// A server whose first write of 'A' waits for a file, whatever becomes of its connection.
std::vector<std::string> late_server(bool one_client_at_a_time) {
  std::vector<std::string> what{"--filter=limit"};
  what.insert(
      what.end(),
      {"eval", one_client_at_a_time ? "limit=1" : "limit=0", "get_size=echo 8M",
       "thread_model=echo parallel", "can_write=exit 0", "can_fua=echo native", "can_flush=exit 0",
       "flush=exit 0",
       "pread=dd if=\"$LATE_FILE\" iflag=count_bytes,skip_bytes bs=64K count=$3 skip=$4 "
       "status=none",
       // A late write leaves two traces: that it has begun, and that it has landed.
       "pwrite=f=$(mktemp \"$LATE_FILE.XXXXXX\"); cat > $f; late=; "
       "if [ \"$(head -c 1 $f)\" = A ] && mkdir \"$LATE_FILE.late\" 2> /dev/null; then "
       "while [ ! -e \"$LATE_FILE.go\" ]; do sleep 0.1; done; late=1; fi; "
       "dd if=$f of=\"$LATE_FILE\" oflag=seek_bytes seek=$4 conv=notrunc bs=64K status=none; "
       "[ ! \"$late\" ] || touch \"$LATE_FILE.landed\""});
  return what;
}

// Cuts the connection while the write of 'A' is under way, and writes 'B' after it. Returns what
// the block holds when all writes have landed.
char after_a_cut(Site& site, Backend& backend, bool exclusive) {
  std::vector<std::byte> data(4096, std::byte{'A'});
  const Flat flat{data};
  Started late{site, backend.write(Bytes{}, flat.view(), Fua::yes)};
  while (!std::filesystem::exists(site.file + ".late")) {
    site.wait(5ms);
  }
  assert_true(cut_one(site.socket));
  // An exclusive server lets nobody in before that.
  const auto let_it_land = [&] { std::ofstream{site.file + ".go"}.flush(); };
  if (exclusive) {
    let_it_land();
  }
  assert_int_equal(late.end(), IoStatus::ok);
  assert_int_equal(site.write(backend, Bytes{}, 'B'), IoStatus::ok);
  if (!exclusive) {
    let_it_land();
  }
  while (!std::filesystem::exists(site.file + ".landed")) {
    site.wait(5ms);
  }
  return site.read(backend, Bytes{});
}

// NBD has no means to stop the write of a connection that is gone (docs/nbd.md). If the server lets
// the next client in meanwhile, the write lands over newer data.
void a_late_write_lands_unless_the_server_is_exclusive(void**) {
  for (const bool exclusive : {false, true}) {
    const Folder folder;
    ::setenv("LATE_FILE", folder.file("late").c_str(), 1);
    Site site{late_server(exclusive)};
    site.file = folder.file("late");
    std::ofstream{site.file}.flush();
    std::filesystem::resize_file(site.file, size.value());
    StoreConfig config = site.config();
    config.nbd.exclusive = exclusive ? NbdConfig::Exclusive::server : NbdConfig::Exclusive::no;
    const std::unique_ptr<Backend> backend = site.open(config).value();
    assert_int_equal(after_a_cut(site, *backend, exclusive), exclusive ? 'B' : 'A');
    site.lab.run(backend->close());
  }
}

}  // namespace

int main() {
  require_nbdkit();
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_late_write_lands_unless_the_server_is_exclusive),
  };
  return cmocka_run_group_tests_name("nbd late", tests, nullptr, nullptr);
}
