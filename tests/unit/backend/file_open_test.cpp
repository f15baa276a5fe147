// SPDX-License-Identifier: Apache-2.0
// Each way in which opening a backing file fails, and the message for it.
#include "lib/backend/file_open.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <functional>

#include "lib/base/log.h"
#include "tests/unit/backend/lab.h"
#include "tests/unit/backend/loop_device.h"
#include "tests/unit/backend/small_mount.h"

#include "tests/cmocka.h"

using namespace ballast;
using namespace ballast::backend;
using namespace ballast::literals;
using namespace ballast::test;

namespace {

std::string check_says(const FileConfig& config) {
  const Result<void> checked = check_file(config);
  return checked ? "fine" : checked.error().message;
}

std::string open_says(const FileConfig& config, Bytes size = 1_MiB, Bytes block = 512_B) {
  const Result<OpenFile> opened = open_file(config, size, block);
  return opened ? "fine" : opened.error().message;
}

void expect_in(const std::string& message, std::initializer_list<std::string> words) {
  for (const std::string& word : words) {
    if (message.find(word) == std::string::npos) {
      print_error("\"%s\" lacks \"%s\"\n", message.c_str(), word.c_str());
      assert_true(false);
    }
  }
}

// check and open refuse it with the same words.
void expect_refused(const FileConfig& config, std::initializer_list<std::string> words) {
  expect_in(check_says(config), words);
  expect_in(open_says(config), words);
}

void make_file(const std::string& path, std::uint64_t size) {
  std::ofstream{path};
  std::filesystem::resize_file(path, size);
}

std::string warnings;

// What it logs, beside opening well.
std::string open_warns(const FileConfig& config, const Expected& expected = {}) {
  warnings.clear();
  set_log_sink([](LogLevel, std::string_view line) { warnings += line; });
  const Result<OpenFile> opened = open_file(config, 1_MiB, 512_B, expected);
  set_log_sink(nullptr);
  return opened ? warnings : "refused: " + opened.error().message;
}

// Runs `work` in a child; what it returns comes back. For what must not happen to the test itself.
std::string in_a_child(const std::function<std::string()>& work) {
  std::array<int, 2> ends{};
  BALLAST_ASSERT(::pipe2(ends.data(), O_CLOEXEC) == 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const std::string said = work();
    ::_exit(::write(ends[1], said.data(), said.size()) >= 0 ? 0 : 1);
  }
  ::close(ends[1]);
  std::string said(4096, '\0');
  const ssize_t got = ::read(ends[0], said.data(), said.size());
  said.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  ::close(ends[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  return said;
}

std::string as_nobody(const std::function<std::string()>& work) {
  return in_a_child([&]() -> std::string {
    return ::setegid(65534) == 0 && ::seteuid(65534) == 0 ? work() : "skip";
  });
}

// --- what works
// -----------------------------------------------------------------------------------

void check_creates_nothing(void**) {
  const Folder folder;
  assert_string_equal(check_says(file_config(folder.file("vol"))).c_str(), "fine");
  assert_true(std::filesystem::is_empty(folder.path()));
}

void a_missing_file_is_created_sparse_and_private(void**) {
  const Folder folder;
  const std::string path = folder.file("vol");
  const Result<OpenFile> opened = open_file(file_config(path), 1_GiB, 512_B);
  assert_true(opened.ok());
  assert_true(opened.value().capabilities.exclusive);
  struct stat status {};
  assert_int_equal(::stat(path.c_str(), &status), 0);
  assert_int_equal(status.st_size, std::int64_t{1} << 30);
  assert_int_equal(status.st_mode & 07777, 0600);
  assert_in_range(status.st_blocks, 0, 16);
}

void a_larger_file_is_fine_and_stays_as_it_is(void**) {
  const Folder folder;
  const std::string path = folder.file("vol");
  make_file(path, 3 << 20);
  const Result<OpenFile> opened = open_file(file_config(path), 1_MiB, 512_B);
  assert_true(opened.ok());
  assert_true(opened.value().geometry.size == 1_MiB);
  assert_int_equal(std::filesystem::file_size(path), 3 << 20);
}

void a_symbolic_link_to_a_file_is_fine(void**) {
  const Folder folder;
  make_file(folder.file("vol"), 1 << 20);
  std::filesystem::create_symlink(folder.file("vol"), folder.file("link"));
  assert_string_equal(open_says(file_config(folder.file("link"))).c_str(), "fine");
}

// --- what stands in the way
// -----------------------------------------------------------------------

void a_missing_parent_directory(void**) {
  const Folder folder;
  expect_refused(file_config(folder.file("a/vol")),
                 {folder.file("a/vol"), "there is no directory " + folder.file("a"), "create it"});
}

void a_parent_that_is_a_file(void**) {
  const Folder folder;
  make_file(folder.file("a"), 0);
  expect_refused(file_config(folder.file("a/vol")), {folder.file("a/vol"), "Not a directory"});
}

void a_parent_that_may_not_be_written(void**) {
  const Folder folder;
  assert_int_equal(::chmod(folder.path().c_str(), 0755), 0);
  const FileConfig config = file_config(folder.file("vol"));
  const std::string said = as_nobody([&] { return check_says(config); });
  if (said == "skip") {
    skip();
  }
  expect_in(said, {"no permission to write to directory", folder.path()});
}

void a_directory(void**) {
  const Folder folder;
  expect_refused(file_config(folder.path()), {"is a directory", folder.file("vol0.raw")});
}

void a_path_that_ends_with_a_slash(void**) {
  const Folder folder;
  expect_refused(file_config(folder.file("vol/")), {"there is no directory"});
}

void a_named_pipe(void**) {
  const Folder folder;
  assert_int_equal(::mkfifo(folder.file("pipe").c_str(), 0600), 0);
  expect_refused(file_config(folder.file("pipe")),
                 {"is a named pipe", "regular file or a block device"});
}

void a_character_device(void**) {
  expect_refused(file_config("/dev/null"), {"/dev/null is a character device"});
}

void a_link_that_leads_nowhere(void**) {
  const Folder folder;
  std::filesystem::create_symlink(folder.file("gone"), folder.file("link"));
  expect_refused(file_config(folder.file("link")), {"symbolic link that leads nowhere"});
}

void a_file_we_may_not_read(void**) {
  const Folder folder;
  assert_int_equal(::chmod(folder.path().c_str(), 0755), 0);
  const FileConfig config = file_config(folder.file("vol"));
  make_file(config.path, 1 << 20);
  assert_int_equal(::chmod(config.path.c_str(), 0600), 0);
  const std::string said = as_nobody([&] { return check_says(config) + open_says(config); });
  if (said.starts_with("skip")) {
    skip();
  }
  expect_in(said, {"no permission to read and write " + config.path, "change its owner or mode"});
}

void a_read_only_file_system(void**) {
  SmallMount mount{"tmpfs", "size=4m"};
  if (!mount.ok()) {
    skip();
  }
  make_file(mount.file("vol"), 1 << 20);
  assert_true(mount.make_read_only());
  expect_refused(file_config(mount.file("vol")), {"read-only"});
  expect_in(check_says(file_config(mount.file("new"))),
            {"cannot be created", "Read-only file system"});
}

void a_file_system_without_direct_io(void**) {
  const SmallMount mount{"ramfs", ""};
  if (!mount.ok()) {
    skip();
  }
  expect_refused(file_config(mount.file("new"), CacheMode::direct),
                 {"file system without O_DIRECT", "cache=buffered"});
  assert_true(std::filesystem::is_empty(mount.path()));
  make_file(mount.file("vol"), 1 << 20);
  expect_refused(file_config(mount.file("vol"), CacheMode::direct), {"without O_DIRECT"});
}

// --- somebody else has it
// -------------------------------------------------------------------------

void a_second_lun_in_this_process(void**) {
  const Folder folder;
  const FileConfig config = file_config(folder.file("vol"));
  Result<OpenFile> first = open_file(config, 1_MiB, 512_B);
  assert_true(first.ok());
  expect_refused(config, {"is locked by another LUN or program"});
  const Result<OpenFile> second = open_file(config, 1_MiB, 512_B);
  assert_int_equal(second.error().errno_value, EBUSY);
  first = Error{EBADF, "closed"};
  assert_string_equal(check_says(config).c_str(), "fine");
}

void another_process_is_named_where_the_kernel_knows_it(void**) {
  const Folder folder;
  const FileConfig config = file_config(folder.file("vol"));
  make_file(config.path, 1 << 20);
  const int fd = ::open(config.path.c_str(), O_RDWR | O_CLOEXEC);
  struct flock whole {};
  whole.l_type = F_WRLCK;
  assert_int_equal(::fcntl(fd, F_SETLK, &whole), 0);
  const std::string said = in_a_child([&] { return check_says(config); });
  ::close(fd);
  expect_in(said, {"is locked by process " + std::to_string(::getpid())});
}

void a_block_device_in_use(void**) {
  const LoopDevice device{1_MiB};
  if (device.path().empty()) {
    skip();
  }
  Result<OpenFile> first = open_file(file_config(device.path()), 1_MiB, 512_B);
  assert_true(first.ok());
  assert_true(first.value().capabilities.exclusive);
  expect_refused(file_config(device.path()), {"is in use", "another LUN has it"});
  first = Error{EBADF, "closed"};
  assert_string_equal(check_says(file_config(device.path())).c_str(), "fine");
}

FileConfig shared(const std::string& path, CacheMode cache = CacheMode::direct) {
  FileConfig config = file_config(path, cache);
  config.lock = FileLock::pr;
  return config;
}

void a_file_cannot_be_shared_by_reservations(void**) {
  const Folder folder;
  const std::string path = folder.file("vol");
  expect_refused(shared(path), {path, "is not there", "block device"});
  assert_true(std::filesystem::is_empty(folder.path()));
  make_file(path, 1 << 20);
  expect_refused(shared(path), {path, "is a regular file", "lock=pr"});
}

void a_shared_device_is_not_cached(void**) {
  expect_refused(shared("/dev/null", CacheMode::buffered), {"lock=pr", "cache=buffered"});
}

void a_device_without_reservations_cannot_be_shared(void**) {
  const LoopDevice device{1_MiB};
  if (device.path().empty()) {
    print_message("%s\n", device.why().c_str());
    skip();
  }
  expect_refused(shared(device.path()), {device.path(), "has no SCSI persistent reservations"});
}

// --- sizes and blocks
// -----------------------------------------------------------------------------

void a_smaller_file_is_refused_with_both_sizes(void**) {
  const Folder folder;
  const FileConfig config = file_config(folder.file("vol"));
  make_file(config.path, 1 << 30);
  expect_in(open_says(config, 2_GiB),
            {"backing file " + config.path + " has 1GiB", "created with size=2GiB",
             "size=1073741824 or less", "truncate -s 2147483648 " + config.path});
  assert_int_equal(open_file(config, 2_GiB, 512_B).error().errno_value, EFBIG);
}

void an_empty_file_is_refused_and_left_alone(void**) {
  const Folder folder;
  const FileConfig config = file_config(folder.file("vol"));
  make_file(config.path, 0);
  expect_in(open_says(config), {"is empty", "restore it", "truncate -s 1048576 " + config.path});
  assert_int_equal(std::filesystem::file_size(config.path), 0);
}

void a_smaller_block_device_is_refused_with_both_sizes(void**) {
  const LoopDevice device{1_MiB};
  if (device.path().empty()) {
    skip();
  }
  expect_in(open_says(file_config(device.path()), 2_MiB),
            {"has 1MiB", "size=2MiB", "grow the device"});
}

void a_size_beyond_the_file_system_leaves_nothing_behind(void**) {
  const Folder folder;
  const std::string said = in_a_child([&] {
    const rlimit limit{.rlim_cur = 1 << 20, .rlim_max = 1 << 20};
    ::signal(SIGXFSZ, SIG_IGN);
    ::setrlimit(RLIMIT_FSIZE, &limit);
    return open_says(file_config(folder.file("vol")), 2_MiB);
  });
  expect_in(said, {"cannot have a size of 2MiB", "its file system does not allow"});
  assert_true(std::filesystem::is_empty(folder.path()));
}

void a_device_with_larger_blocks_says_what_to_do(void**) {
  const LoopDevice device{1_MiB, 4096};
  if (device.path().empty()) {
    skip();
  }
  const FileConfig direct = file_config(device.path(), CacheMode::direct);
  expect_in(open_says(direct),
            {"units of 4096", "blocks of 512", "hw_block_size=4096", "cache=buffered"});
  assert_string_equal(open_says(direct, 1_MiB, 4096_B).c_str(), "fine");
  assert_string_equal(open_says(file_config(device.path())).c_str(), "fine");
}

void what_the_device_tells_reaches_the_geometry(void**) {
  const LoopDevice device{1_MiB, 4096};
  if (device.path().empty()) {
    skip();
  }
  const Result<OpenFile> opened =
      open_file(file_config(device.path(), CacheMode::direct), 1_MiB, 4096_B);
  assert_true(opened.ok());
  assert_true(opened.value().block_device);
  assert_int_equal(opened.value().geometry.physical_block.value(), 4096);
  assert_true(opened.value().capabilities.discard);
  assert_true(opened.value().capabilities.zero);
  assert_false(opened.value().capabilities.discard_zeroes);
}

void the_factory_refuses_sizes_that_cannot_be(void**) {
  Lab lab;
  const StoreConfig config;
  expect_in(open_now(config, lab.context(1000_B, 512_B)).error().message,
            {"size of 1000 bytes", "block size of 512"});
  expect_in(open_now(config, lab.context(Bytes{}, 512_B)).error().message, {"size of 0 bytes"});
  expect_in(open_now(config, lab.context(1_MiB, 8192_B)).error().message,
            {"block size is 8192", "512, 1024, 2048 or 4096"});
}

void a_check_looks_at_the_store_and_at_the_control_file(void**) {
  const Folder folder;
  StoreOrder order;
  order.config = store_config(file_config("/nowhere/vol"));
  expect_in(check_now(order).error().message, {"there is no directory /nowhere"});
  order.config = store_config(file_config(folder.file("vol")));
  assert_true(check_now(order).ok());
  order.config = StoreConfig{};
  order.config.fault_control = "/nowhere/control";
  expect_in(check_now(order).error().message, {"/nowhere/control"});
}

// --- what is no error, but likely a mistake

void an_image_of_another_format_is_pointed_out(void**) {
  const Folder folder;
  FileConfig config{.path = folder.file("image")};
  for (const auto& [magic, format] :
       {std::pair{"QFI\xfb", "a qcow2 image"}, std::pair{"KDMV", "a VMDK image"},
        std::pair{"vhdxfile", "a VHDX image"}}) {
    std::ofstream{config.path} << magic;
    std::filesystem::resize_file(config.path, 1 << 20);
    for (const CacheMode mode : {CacheMode::direct, CacheMode::buffered}) {
      config.cache = mode;
      expect_in(open_warns(config), {config.path, format, "qemu-img convert -O raw"});
    }
  }
}

void a_raw_file_is_not(void**) {
  const Folder folder;
  const FileConfig config{.path = folder.file("raw")};
  make_file(config.path, 1 << 20);
  assert_string_equal(open_warns(config).c_str(), "");
}

// It may be an initiator that has written it there.
void nor_what_is_known_as_the_store_of_a_lun(void**) {
  const Folder folder;
  const FileConfig config{.path = folder.file("known")};
  std::ofstream{config.path} << "QFI\xfb";
  std::filesystem::resize_file(config.path, 1 << 20);
  Expected known;
  known.record.emplace();
  known.record->path = config.path;
  known.record->size = known.record->reach = 1_MiB;
  assert_string_equal(open_warns(config, known).c_str(), "");
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(check_creates_nothing),
      cmocka_unit_test(a_missing_file_is_created_sparse_and_private),
      cmocka_unit_test(a_larger_file_is_fine_and_stays_as_it_is),
      cmocka_unit_test(a_symbolic_link_to_a_file_is_fine),
      cmocka_unit_test(a_missing_parent_directory),
      cmocka_unit_test(a_parent_that_is_a_file),
      cmocka_unit_test(a_parent_that_may_not_be_written),
      cmocka_unit_test(a_directory),
      cmocka_unit_test(a_path_that_ends_with_a_slash),
      cmocka_unit_test(a_named_pipe),
      cmocka_unit_test(a_character_device),
      cmocka_unit_test(a_link_that_leads_nowhere),
      cmocka_unit_test(a_file_we_may_not_read),
      cmocka_unit_test(a_read_only_file_system),
      cmocka_unit_test(a_file_system_without_direct_io),
      cmocka_unit_test(a_second_lun_in_this_process),
      cmocka_unit_test(another_process_is_named_where_the_kernel_knows_it),
      cmocka_unit_test(a_block_device_in_use),
      cmocka_unit_test(a_file_cannot_be_shared_by_reservations),
      cmocka_unit_test(a_shared_device_is_not_cached),
      cmocka_unit_test(a_device_without_reservations_cannot_be_shared),
      cmocka_unit_test(a_smaller_file_is_refused_with_both_sizes),
      cmocka_unit_test(an_empty_file_is_refused_and_left_alone),
      cmocka_unit_test(a_smaller_block_device_is_refused_with_both_sizes),
      cmocka_unit_test(a_size_beyond_the_file_system_leaves_nothing_behind),
      cmocka_unit_test(a_device_with_larger_blocks_says_what_to_do),
      cmocka_unit_test(what_the_device_tells_reaches_the_geometry),
      cmocka_unit_test(the_factory_refuses_sizes_that_cannot_be),
      cmocka_unit_test(a_check_looks_at_the_store_and_at_the_control_file),
      cmocka_unit_test(an_image_of_another_format_is_pointed_out),
      cmocka_unit_test(a_raw_file_is_not),
      cmocka_unit_test(nor_what_is_known_as_the_store_of_a_lun),
  };
  return cmocka_run_group_tests_name("file_open", tests, nullptr, nullptr);
}
